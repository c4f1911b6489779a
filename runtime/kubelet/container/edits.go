package container

// Edits are what a container is given for its devices, in the terms of the device plugins'
// API and of CDI.
type Edits struct {
	Env     map[string]string `json:"env,omitempty"`
	Mounts  []Mount           `json:"mounts,omitempty"`
	Devices []Device          `json:"devices,omitempty"`
	// Annotations are those of the container in the runtime, not of the pod.
	Annotations map[string]string `json:"annotations,omitempty"`
	// CDIDevices are qualified names, as vendor.example.com/class=device.
	CDIDevices []string `json:"cdiDevices,omitempty"`
}
