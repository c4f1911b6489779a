package images

import "time"

// Reasons of containers that wait for their image, as upstream has them.
const (
	ReasonInvalidImageName  = "InvalidImageName"
	ReasonImageInspectError = "ImageInspectError"
	ReasonErrImageNeverPull = "ErrImageNeverPull"
	ReasonErrImagePull      = "ErrImagePull"
	ReasonImagePullBackOff  = "ImagePullBackOff"
)

// Error says why a container's image is not there.
type Error struct {
	Reason string
	// Delay is how long to wait before trying again.
	Delay time.Duration
	Err   error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }
