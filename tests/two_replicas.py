"""Two logical CPUs, for tests of what two replicas compute, in the process of the tests.

They must be made before TensorFlow's first operation. What is not asked to use the second one
does not: mmtf looks for GPUs alone, and operations without a device go to the first.
"""


def make_devices():
    import tensorflow as tf  # not before conftest.py imports it as the commands do

    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


def strategy_of(replicas=2):
    """A MirroredStrategy on that many of them."""
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy(
        [f"CPU:{number}" for number in range(replicas)],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )
    assert strategy.num_replicas_in_sync == replicas
    return strategy
