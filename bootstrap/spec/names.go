package spec

// ReservedNames are names that no node may have, and what each of them means: a node's
// certificates are good for its name, and its processes' for theirs. Names with dots,
// such as kubernetes.default, are none of nodes anyway.
func ReservedNames() map[string]string {
	const process = "a process of the control plane is known by it"
	return map[string]string{
		"kubernetes":                    "clients verify API servers by it",
		"localhost":                     "every server is known to itself by it",
		"kube-apiserver":                process,
		"kube-apiserver-kubelet-client": process,
		"kube-apiserver-etcd-client":    process,
		"front-proxy-client":            process,
		"gantry-etcd-health":            process,
		"gantry-bootstrap":              "an apply is known to etcd by it",
	}
}
