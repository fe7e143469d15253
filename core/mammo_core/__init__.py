"""One exam: DICOM file to image, study, model input, score, heatmap and result."""
