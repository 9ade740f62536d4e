"""The texts of the sample archive: papers of Port-Aubin and its neighbours, on the imaginary isle of Sarnel.

All of it is invented. The texts are written in the notation of :mod:`ragflow.sample.blocks`; every fact that a sample
question asks for stands on one page of one document only.
"""
