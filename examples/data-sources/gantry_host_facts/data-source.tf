data "gantry_host_facts" "new" {
  address = "10.0.0.24"
  role    = "worker"
}

# Fails, with the reasons, before such a server is put into a pool.
check "the_server_fits" {
  assert {
    condition     = length(data.gantry_host_facts.new.findings) == 0
    error_message = join("\n", [for f in data.gantry_host_facts.new.findings : "${f.problem}: ${f.remedy}"])
  }
}

output "new_server" {
  value = "${data.gantry_host_facts.new.os}, ${data.gantry_host_facts.new.cpus} processors"
}
