package core

import (
	"strings"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	podutil "github.com/gantry-run/gantry/runtime/pod"
)

const (
	defaultGracePeriod   int64 = 30
	defaultFileMode      int32 = 0o644
	defaultTokenSeconds  int64 = 3600
	defaultSchedulerName       = "default-scheduler"
)

// defaultPod fills what the API documents for pods: the defaults of every pod
// spec, and those that only a pod gets and a template does not.
func defaultPod(p *corev1.Pod) {
	defaultPodSpec(&p.Spec)
	if g := p.Spec.TerminationGracePeriodSeconds; *g < 0 {
		*g = 1
	}
	kind.SetDefaultPtr(&p.Spec.EnableServiceLinks, true)
	for _, c := range podutil.Containers(&p.Spec, podutil.InitContainers|podutil.MainContainers) {
		requestsFromLimits(&c.Resources)
		if p.Spec.HostNetwork {
			for i := range c.Ports {
				kind.SetDefault(&c.Ports[i].HostPort, c.Ports[i].ContainerPort)
			}
		}
	}
	defaultPodIPs(&p.Status)
}

// defaultPodIPs makes the singular address agree with the list, whichever was given.
func defaultPodIPs(s *corev1.PodStatus) {
	switch {
	case s.PodIP == "" && len(s.PodIPs) > 0:
		s.PodIP = s.PodIPs[0].IP
	case s.PodIP != "" && (len(s.PodIPs) == 0 || s.PodIPs[0].IP != s.PodIP):
		s.PodIPs = []corev1.PodIP{{IP: s.PodIP}}
	}
}

// DefaultPodTemplate fills the defaults of a pod template that no tag of the type
// says.
func DefaultPodTemplate(t *corev1.PodTemplateSpec) { defaultPodSpec(&t.Spec) }

func defaultPodSpec(s *corev1.PodSpec) {
	kind.SetDefault(&s.RestartPolicy, corev1.RestartPolicyAlways)
	kind.SetDefault(&s.DNSPolicy, corev1.DNSClusterFirst)
	kind.SetDefault(&s.SchedulerName, defaultSchedulerName)
	kind.SetDefaultPtr(&s.TerminationGracePeriodSeconds, defaultGracePeriod)
	kind.SetDefaultPtr(&s.SecurityContext, corev1.PodSecurityContext{})
	// serviceAccount is the old name of serviceAccountName; a client may send
	// either and reads both.
	kind.SetDefault(&s.ServiceAccountName, s.DeprecatedServiceAccount)
	s.DeprecatedServiceAccount = s.ServiceAccountName

	for _, c := range podutil.Containers(s, podutil.AllContainers) {
		defaultContainer(c)
	}
	for i := range s.Volumes {
		defaultVolume(&s.Volumes[i])
	}
}

func defaultContainer(c *corev1.Container) {
	kind.SetDefault(&c.TerminationMessagePath, corev1.TerminationMessagePathDefault)
	kind.SetDefault(&c.TerminationMessagePolicy, corev1.TerminationMessageReadFile)
	kind.SetDefault(&c.ImagePullPolicy, pullPolicy(c.Image))
	for i := range c.Env {
		if from := c.Env[i].ValueFrom; from != nil && from.FieldRef != nil {
			kind.SetDefault(&from.FieldRef.APIVersion, "v1")
		}
	}
	for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
		defaultProbe(p)
	}
	if c.Lifecycle != nil {
		for _, h := range []*corev1.LifecycleHandler{c.Lifecycle.PostStart, c.Lifecycle.PreStop} {
			if h != nil {
				defaultHTTPGet(h.HTTPGet)
			}
		}
	}
}

// pullPolicy is Always for an image whose tag is latest, said or not, and
// IfNotPresent for one that names another tag or a digest, or that is none.
func pullPolicy(image string) corev1.PullPolicy {
	if _, err := reference.ParseNormalizedNamed(image); err != nil {
		return corev1.PullIfNotPresent
	}
	if strings.Contains(image, "@") {
		return corev1.PullIfNotPresent
	}
	// The tag follows a colon in the last segment; before that a colon means a
	// registry's port.
	last := image[strings.LastIndex(image, "/")+1:]
	if _, tag, ok := strings.Cut(last, ":"); ok && tag != "latest" {
		return corev1.PullIfNotPresent
	}
	return corev1.PullAlways
}

func defaultProbe(p *corev1.Probe) {
	if p == nil {
		return
	}
	kind.SetDefault(&p.TimeoutSeconds, 1)
	kind.SetDefault(&p.PeriodSeconds, 10)
	kind.SetDefault(&p.SuccessThreshold, 1)
	kind.SetDefault(&p.FailureThreshold, 3)
	defaultHTTPGet(p.HTTPGet)
}

func defaultHTTPGet(h *corev1.HTTPGetAction) {
	if h == nil {
		return
	}
	kind.SetDefault(&h.Path, "/")
	kind.SetDefault(&h.Scheme, corev1.URISchemeHTTP)
}

func requestsFromLimits(r *corev1.ResourceRequirements) {
	for name, limit := range r.Limits {
		if _, ok := r.Requests[name]; ok {
			continue
		}
		if r.Requests == nil {
			r.Requests = corev1.ResourceList{}
		}
		r.Requests[name] = limit.DeepCopy()
	}
}

func defaultVolume(v *corev1.Volume) {
	s := &v.VolumeSource
	if *s == (corev1.VolumeSource{}) {
		s.EmptyDir = &corev1.EmptyDirVolumeSource{}
	}
	if s.HostPath != nil {
		kind.SetDefaultPtr(&s.HostPath.Type, corev1.HostPathUnset)
	}
	if s.Secret != nil {
		kind.SetDefaultPtr(&s.Secret.DefaultMode, defaultFileMode)
	}
	if s.ConfigMap != nil {
		kind.SetDefaultPtr(&s.ConfigMap.DefaultMode, defaultFileMode)
	}
	if s.DownwardAPI != nil {
		kind.SetDefaultPtr(&s.DownwardAPI.DefaultMode, defaultFileMode)
		defaultDownwardFiles(s.DownwardAPI.Items)
	}
	if s.Projected != nil {
		kind.SetDefaultPtr(&s.Projected.DefaultMode, defaultFileMode)
		for i := range s.Projected.Sources {
			src := &s.Projected.Sources[i]
			if src.ServiceAccountToken != nil {
				kind.SetDefaultPtr(&src.ServiceAccountToken.ExpirationSeconds, defaultTokenSeconds)
			}
			if src.DownwardAPI != nil {
				defaultDownwardFiles(src.DownwardAPI.Items)
			}
			if src.PodCertificate != nil {
				kind.SetDefaultPtr(&src.PodCertificate.MaxExpirationSeconds, 24*3600)
			}
		}
	}
	if s.Ephemeral != nil && s.Ephemeral.VolumeClaimTemplate != nil {
		defaultClaimSpec(&s.Ephemeral.VolumeClaimTemplate.Spec)
	}
	if s.Image != nil {
		kind.SetDefault(&s.Image.PullPolicy, pullPolicy(s.Image.Reference))
	}
}

func defaultDownwardFiles(items []corev1.DownwardAPIVolumeFile) {
	for i := range items {
		if items[i].FieldRef != nil {
			kind.SetDefault(&items[i].FieldRef.APIVersion, "v1")
		}
	}
}
