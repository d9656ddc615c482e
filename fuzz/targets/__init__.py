"""The targets. Each module has

run(data)  what is to hold for any bytes: it returns, or the bytes are a finding
seeds()    valid inputs to begin with
"""
