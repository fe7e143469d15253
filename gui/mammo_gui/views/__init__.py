"""Values of the library as HTML and as the viewer's payload: pure functions, nothing is fetched or changed here."""
