import {
  to = gantry_node_pool.workers
  id = "10.0.0.11/workers"
}
