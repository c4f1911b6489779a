# By [user@]address[:port] of any master that is up, a slash and the pool's name:
terraform import gantry_node_pool.workers root@10.0.0.11/workers
