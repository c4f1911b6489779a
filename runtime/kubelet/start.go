package kubelet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// startContainer starts the next incarnation of a container, or records why it
// cannot. It says whether something started.
func (w *worker) startContainer(ctx context.Context, pod *corev1.Pod, a startAction) bool {
	name := a.container.Name
	img, fail := w.image(ctx, pod, a.container)
	if fail != nil {
		w.fail(pod, name, *fail)
		return false
	}
	spec, err := w.k.containerSpec(ctx, pod, w.statusForFields(pod), w.sandbox, a, img)
	if err != nil {
		if ctx.Err() == nil {
			w.fail(pod, name, failure{reason: "CreateContainerConfigError", message: err.Error(), delay: 5 * time.Second})
		}
		return false
	}
	// Many pods at once: a few starts at a time get each of them there sooner than
	// all together, which share the processors and all end late.
	select {
	case w.k.starting <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	c, err := w.k.runtime.Start(ctx, spec)
	<-w.k.starting
	if err != nil {
		if ctx.Err() == nil {
			if !errors.Is(err, ErrUnavailable) {
				w.k.event(pod, corev1.EventTypeWarning, "Failed", "Error: "+err.Error())
			}
			w.fail(pod, name, failure{reason: "RunContainerError", message: err.Error(), delay: w.backoff(name), err: err})
		}
		return false
	}
	delete(w.failures, name)
	// Only the one before the newest is kept, for its log and its end.
	old := w.before[name]
	w.mu.Lock()
	w.put(&c)
	w.mu.Unlock()
	if prev := w.before[name]; old != nil && prev != nil && old.ID != prev.ID {
		w.discard(ctx, old)
	}
	w.k.event(pod, corev1.EventTypeNormal, "Created", "Created container: "+name)
	w.k.event(pod, corev1.EventTypeNormal, "Started", "Started container "+name)
	if l := a.container.Lifecycle; l != nil && l.PostStart != nil {
		if err := w.k.runHook(ctx, l.PostStart, c.ID, probeTarget{w.ip, a.container}); err != nil && ctx.Err() == nil {
			w.k.event(pod, corev1.EventTypeWarning, "FailedPostStartHook", err.Error())
			w.kill(ctx, pod, w.containers[name], w.grace(pod), "FailedPostStartHook")
		}
	}
	return true
}

func (w *worker) discard(ctx context.Context, c *Container) {
	if err := w.k.runtime.Remove(ctx, c.ID); err != nil {
		w.k.log.Warn("an old container is not removed", "container", c.ID, "error", err)
		return
	}
	logs, _ := filepath.Glob(c.LogPath + "*")
	for _, l := range logs {
		os.Remove(l) //nolint:errcheck // removed with the pod at the latest
	}
}

// backoff doubles the delay of a container that fails to start again and again.
func (w *worker) backoff(name string) time.Duration {
	if f, ok := w.failures[name]; ok && f.delay > 0 {
		return min(2*f.delay, maxBackoff)
	}
	return firstBackoff
}

func (w *worker) fail(pod *corev1.Pod, name string, f failure) {
	if errors.Is(f.err, ErrUnavailable) {
		// Not the pod's failure: what was known of it stays, and it is tried again.
		f = w.failures[name]
		f.until, f.err = w.k.now().Add(retryDelay), nil
		if f.reason == "" {
			f.reason = "ContainerCreating"
		}
		w.failures[name] = f
		return
	}
	f.until = w.k.now().Add(f.delay)
	w.failures[name] = f
	if f.reason == "CreateContainerConfigError" {
		w.k.event(pod, corev1.EventTypeWarning, "Failed", "Error: "+f.message)
	}
}

// image makes sure that a container's image is there, as its pull policy says.
func (w *worker) image(ctx context.Context, pod *corev1.Pod, c *corev1.Container) (Image, *failure) {
	policy := c.ImagePullPolicy
	if policy == "" {
		policy = corev1.PullIfNotPresent
	}
	img, present, err := w.k.images.Image(ctx, c.Image)
	if errors.Is(err, ErrInvalidImageName) {
		return img, &failure{reason: "InvalidImageName", message: err.Error(), delay: firstBackoff}
	}
	if err != nil {
		return img, &failure{reason: "ImageInspectError", message: err.Error(), delay: retryDelay, err: err}
	}
	if present && policy != corev1.PullAlways {
		w.k.event(pod, corev1.EventTypeNormal, "Pulled", fmt.Sprintf("Container image %q already present on machine", c.Image))
		return img, nil
	}
	if policy == corev1.PullNever {
		w.k.event(pod, corev1.EventTypeWarning, "ErrImageNeverPull", fmt.Sprintf("Container image %q is not present with pull policy of Never", c.Image))
		return img, &failure{reason: "ErrImageNeverPull", message: fmt.Sprintf("Container image %q is not present with pull policy of Never", c.Image), delay: firstBackoff}
	}
	auth, err := w.k.registryAuth(ctx, pod)
	if err != nil {
		w.k.event(pod, corev1.EventTypeWarning, "FailedToRetrieveImagePullSecret", err.Error())
	}
	w.report(ctx, pod, time.Time{}) // a pull takes time: say that the pod is being created
	w.k.event(pod, corev1.EventTypeNormal, "Pulling", fmt.Sprintf("Pulling image %q", c.Image))
	begin := w.k.now()
	img, err = w.k.images.Pull(ctx, c.Image, auth)
	if err != nil {
		if ctx.Err() != nil {
			return img, &failure{reason: "ContainerCreating", delay: 0}
		}
		w.k.event(pod, corev1.EventTypeWarning, "Failed", fmt.Sprintf("Failed to pull image %q: %v", c.Image, err))
		reason := "ErrImagePull"
		if w.failures[c.Name].reason == "ErrImagePull" || w.failures[c.Name].reason == "ImagePullBackOff" {
			reason = "ImagePullBackOff"
			w.k.event(pod, corev1.EventTypeNormal, "BackOff", fmt.Sprintf("Back-off pulling image %q", c.Image))
		}
		return img, &failure{reason: reason, message: err.Error(), delay: w.backoff(c.Name)}
	}
	w.k.event(pod, corev1.EventTypeNormal, "Pulled", fmt.Sprintf("Successfully pulled image %q in %s", c.Image, w.k.now().Sub(begin).Round(time.Millisecond)))
	return img, nil
}

// registryAuth reads the pod's image pull secrets.
func (k *Kubelet) registryAuth(ctx context.Context, pod *corev1.Pod) ([]RegistryAuth, error) {
	var out []RegistryAuth
	var errs []error
	for _, ref := range pod.Spec.ImagePullSecrets {
		s, err := k.api.CoreV1().Secrets(pod.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
		if err != nil {
			errs = append(errs, fmt.Errorf("image pull secret %s: %w", ref.Name, err))
			continue
		}
		var cfg struct {
			Auths map[string]registryEntry `json:"auths"`
		}
		switch s.Type {
		case corev1.SecretTypeDockerConfigJson:
			err = json.Unmarshal(s.Data[corev1.DockerConfigJsonKey], &cfg)
		case corev1.SecretTypeDockercfg:
			err = json.Unmarshal(s.Data[corev1.DockerConfigKey], &cfg.Auths)
		default:
			err = fmt.Errorf("type %s is not one for images", s.Type)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("image pull secret %s: %w", ref.Name, err))
			continue
		}
		for host, e := range cfg.Auths {
			host = strings.TrimPrefix(strings.TrimPrefix(host, "https://"), "http://")
			host, _, _ = strings.Cut(host, "/")
			if host == "index.docker.io" {
				host = "docker.io"
			}
			user, password := e.credentials()
			out = append(out, RegistryAuth{Host: host, Username: user, Password: password, Token: e.IdentityToken})
		}
	}
	return out, errors.Join(errs...)
}

type registryEntry struct {
	Username, Password string
	Auth               []byte // base64 of user:password
	IdentityToken      string
}

func (e registryEntry) credentials() (user, password string) {
	if u, p, ok := strings.Cut(string(e.Auth), ":"); ok {
		return u, p
	}
	return e.Username, e.Password
}

// superviseProbes starts the probes of running containers.
func (w *worker) superviseProbes(ctx context.Context, pod *corev1.Pod) {
	for name, c := range w.containers {
		spec := containerByName(pod, name)
		if spec == nil || c.State != StateRunning || w.probers[c.ID] != nil || w.kills[c.ID] != nil {
			continue
		}
		pctx, cancel := context.WithCancel(ctx)
		w.probers[c.ID] = cancel
		state := probeState{started: spec.StartupProbe == nil, ready: spec.ReadinessProbe == nil}
		// A container that was up before this process: what was known of it holds
		// until its probes say otherwise.
		for _, s := range append(pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses...) {
			if s.Name == name && strings.HasSuffix(s.ContainerID, "://"+c.ID) {
				state.started = state.started || (s.Started != nil && *s.Started)
				state.ready = state.ready || s.Ready
			}
		}
		w.mu.Lock()
		w.probed[c.ID] = state
		w.mu.Unlock()
		target := probeTarget{w.ip, spec}
		go w.probe(pctx, pod, spec, c, target, state)
	}
}

func (w *worker) probe(ctx context.Context, pod *corev1.Pod, spec *corev1.Container, c *Container, target probeTarget, state probeState) {
	update := func(change func(*probeState)) {
		w.mu.Lock()
		defer w.mu.Unlock()
		s, ok := w.probed[c.ID]
		if !ok || ctx.Err() != nil {
			return
		}
		before := s
		change(&s)
		if w.probed[c.ID] = s; s != before {
			w.wake()
		}
	}
	unhealthy := func(kind probeKind, output string) {
		w.k.event(pod, corev1.EventTypeWarning, "Unhealthy", fmt.Sprintf("%s probe failed: %s", strings.ToUpper(string(kind[:1]))+string(kind[1:]), output))
	}
	fatal := func(kind probeKind) func(probeResult) {
		return func(r probeResult) {
			if r.failed {
				unhealthy(kind, r.output)
			}
			if r.exhausted {
				update(func(s *probeState) { s.unhealthy = string(kind) + " probe" })
			}
		}
	}
	if p := spec.StartupProbe; p != nil && !state.started {
		sctx, stop := context.WithCancel(ctx)
		fail := fatal(startupProbe)
		w.k.runProbe(sctx, startupProbe, p, c, target, false, func(r probeResult) {
			fail(r)
			if r.good {
				update(func(s *probeState) { s.started = true })
				stop()
			}
		})
		stop()
	}
	if ctx.Err() != nil {
		return
	}
	if p := spec.LivenessProbe; p != nil {
		go w.k.runProbe(ctx, livenessProbe, p, c, target, true, fatal(livenessProbe))
	}
	if p := spec.ReadinessProbe; p != nil {
		w.k.runProbe(ctx, readinessProbe, p, c, target, state.ready, func(r probeResult) {
			if r.failed {
				unhealthy(readinessProbe, r.output)
			}
			update(func(s *probeState) { s.ready = r.good })
		})
	}
}
