"""The recurrent cells of Keras files, in every layout that Keras ever stored."""
