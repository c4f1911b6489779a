package container

// Health is what the probes of a running container say. Without probes a container is
// started and ready.
type Health struct {
	Started, Ready bool
	// Unhealthy is the probe for which the container has to be killed; "" for none.
	Unhealthy string
}
