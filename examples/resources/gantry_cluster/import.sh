# By [user@]address[:port] of any of its masters that is up:
terraform import gantry_cluster.this root@10.0.0.11
