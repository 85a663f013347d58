//! Tests of the product as a whole. `tidy` judges the repository: layers, dependencies, where SQL may stand, what
//! every event must bring along, links in documents.
