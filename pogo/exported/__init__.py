"""Programs that act from exported policies, one per format. They import nothing of pogo: copy them where you need them.

    python act_onnx.py POLICY.onnx OBSERVATIONS.npy ACTIONS.npy [NOISE.npy]

`pogo-export` runs them to compare what it has written with the policy that it is of.
"""
