package container

// Users are the server's users, and groups, that a pod has as its own: the pod's root is
// the server's First. The zero value: the pod's users are the server's.
type Users struct{ First, Count uint32 }

// Own says whether a pod has users of its own.
func (u Users) Own() bool { return u.Count > 0 }
