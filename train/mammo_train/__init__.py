"""Many exams: data sets, training, evaluation and the `mammo` command."""
