"""A world as one file: an ONNX graph, a page that plays without a server, a gallery, a lesson."""
