"""A local web page on which a user teaches a trained model their own classes and gets predictions."""
