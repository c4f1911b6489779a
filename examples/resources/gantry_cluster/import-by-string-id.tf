import {
  to = gantry_cluster.this
  id = "10.0.0.11"
}
