package container

// Sandbox is what the containers of a pod share. ID is another one whenever it was made
// anew; "" before it is made.
type Sandbox struct {
	ID         string
	Namespaces Namespaces
	// Shm is the directory that containers see as /dev/shm.
	Shm string
	// Users are the pod's own, those of Namespaces.User.
	Users Users
	// Handler is how the runtime runs the containers: that of the pod's RuntimeClass.
	Handler string
}
