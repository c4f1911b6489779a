package images

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// Delays between attempts.
const (
	inspectDelay = time.Second
	firstBackoff = 10 * time.Second
	maxBackoff   = 5 * time.Minute
)

// Store keeps images.
type Store interface {
	// Image returns an image by the name a pod uses, and whether it is present.
	Image(ctx context.Context, name string) (container.Image, bool, error)
	// Pull fetches and unpacks it.
	Pull(ctx context.Context, name string, auth []container.RegistryAuth) (container.Image, error)
	// Images lists the store.
	Images(ctx context.Context) ([]container.Image, error)
	// RemoveImage removes an image by its name in the store.
	RemoveImage(ctx context.Context, name string) error
}

// Recorder records events.
type Recorder interface {
	Event(object runtime.Object, eventtype, reason, message string)
}

// Manager makes sure of images.
type Manager struct {
	store   Store
	secrets Secrets
	events  Recorder
	access  Access

	mu      sync.Mutex
	backoff map[key]time.Duration      // of pulls that failed last time
	inUse   map[string]map[string]bool // by pod UID, names in the store and IDs
}

// key is a container of a pod.
type key struct{ uid, container string }

// NewManager returns a manager of the store.
func NewManager(store Store, secrets Secrets, events Recorder, access Access) *Manager {
	return &Manager{store: store, secrets: secrets, events: events, access: access, backoff: map[key]time.Duration{}, inUse: map[string]map[string]bool{}}
}

// EnsureImage makes sure that a container's image is there, as its pull policy says,
// and that it stays until the pod is forgotten. Before a pull, which takes time,
// pulling is called. An error is an *Error, or ctx's.
func (m *Manager) EnsureImage(ctx context.Context, pod *corev1.Pod, c *corev1.Container, pulling func()) (container.Image, error) {
	img, present, err := m.store.Image(ctx, c.Image)
	switch {
	case errors.Is(err, container.ErrInvalidImageName):
		return img, &Error{ReasonInvalidImageName, firstBackoff, err}
	case err != nil:
		return img, &Error{ReasonImageInspectError, inspectDelay, err}
	}
	creds := sync.OnceValue(func() []credential {
		creds, err := credentials(ctx, m.secrets, pod)
		if err != nil {
			m.events.Event(pod, corev1.EventTypeWarning, "FailedToRetrieveImagePullSecret", err.Error())
		}
		return creds
	})
	switch {
	case present && c.ImagePullPolicy != corev1.PullAlways && m.access.allowed(img, creds):
		m.events.Event(pod, corev1.EventTypeNormal, "Pulled", fmt.Sprintf("Container image %q already present on machine and can be accessed by the pod", c.Image))
		m.Use(string(pod.UID), img.Name, img.ID)
		return img, nil
	case c.ImagePullPolicy == corev1.PullNever:
		// Also of an image that the pod may not use: it is not told that it is there.
		err := fmt.Errorf("Container image %q is not present with pull policy of Never", c.Image) //nolint:staticcheck // upstream's message, which people search for
		m.events.Event(pod, corev1.EventTypeWarning, ReasonErrImageNeverPull, err.Error())
		return img, &Error{ReasonErrImageNeverPull, firstBackoff, err}
	}
	have := creds()
	pulling()
	return m.pull(ctx, pod, c, have)
}

func (m *Manager) pull(ctx context.Context, pod *corev1.Pod, c *corev1.Container, creds []credential) (container.Image, error) {
	m.events.Event(pod, corev1.EventTypeNormal, "Pulling", fmt.Sprintf("Pulling image %q", c.Image))
	begin := time.Now()
	k := key{string(pod.UID), c.Name}
	img, err := m.pullAs(ctx, c, creds)
	if err == nil {
		m.pulled(k, img)
		m.events.Event(pod, corev1.EventTypeNormal, "Pulled", fmt.Sprintf("Successfully pulled image %q in %s", c.Image, time.Since(begin).Round(time.Millisecond)))
		return img, nil
	}
	if ctx.Err() != nil {
		return img, ctx.Err()
	}
	m.events.Event(pod, corev1.EventTypeWarning, "Failed", fmt.Sprintf("Failed to pull image %q: %v", c.Image, err))
	delay, again := m.failed(k)
	if again {
		m.events.Event(pod, corev1.EventTypeNormal, "BackOff", fmt.Sprintf("Back-off pulling image %q", c.Image))
		return img, &Error{ReasonImagePullBackOff, delay, err}
	}
	return img, &Error{ReasonErrImagePull, delay, err}
}

// failed doubles the delay of a container whose image cannot be pulled, and says
// whether it could not the last time too.
func (m *Manager) failed(k key) (delay time.Duration, again bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delay, again = m.backoff[k]
	if delay = min(2*delay, maxBackoff); !again {
		delay = firstBackoff
	}
	m.backoff[k] = delay
	return delay, again
}

func (m *Manager) pulled(k key, img container.Image) {
	m.mu.Lock()
	delete(m.backoff, k)
	m.mu.Unlock()
	m.Use(k.uid, img.Name, img.ID)
}

// Use notes images that a pod uses, by name in the store or ID: those of its
// containers that an earlier process started.
func (m *Manager) Use(uid string, images ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.inUse[uid] == nil {
		m.inUse[uid] = map[string]bool{}
	}
	for _, i := range images {
		m.inUse[uid][i] = true
	}
}

// Forget forgets a pod: its images are not in use for it any more.
func (m *Manager) Forget(uid string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.inUse, uid)
	for k := range m.backoff {
		if k.uid == uid {
			delete(m.backoff, k)
		}
	}
}

// Unused are the images of the store that no pod uses.
func (m *Manager) Unused(ctx context.Context) ([]container.Image, error) {
	all, err := m.store.Images(ctx)
	if err != nil {
		return nil, err
	}
	var out []container.Image
	for _, img := range all {
		if !m.used(img) {
			out = append(out, img)
		}
	}
	return out, nil
}

// Remove removes an image that no pod uses.
func (m *Manager) Remove(ctx context.Context, img container.Image) error {
	if m.used(img) {
		return fmt.Errorf("image %s is in use", img.Name)
	}
	if err := m.store.RemoveImage(ctx, img.Name); err != nil {
		return err
	}
	m.access.forget(img.ID)
	return nil
}

func (m *Manager) used(img container.Image) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, images := range m.inUse {
		if images[img.Name] || images[img.ID] {
			return true
		}
	}
	return false
}

// StopSignal is the signal that an image wants to be ended by, as the image names it;
// "" when it names none or is not known.
func (m *Manager) StopSignal(ctx context.Context, image string) string {
	if img, ok, err := m.store.Image(ctx, image); err == nil && ok {
		return img.StopSignal
	}
	return ""
}
