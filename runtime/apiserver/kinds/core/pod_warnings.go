package core

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// TemplateWarnings tells of what a pod template has and what works otherwise than its
// author may expect.
func TemplateWarnings(t *corev1.PodTemplateSpec, path *field.Path) []string {
	w := &warner{}
	w.pod(&t.Spec, t.Annotations, path)
	return append(w.out, appArmorWarnings(t.Annotations, &t.Spec, path)...)
}

// NameWarnings tells of the name of an object of which pods make theirs.
func NameWarnings(name string) []string { return nameWarnings(name, "Pod names and hostnames") }

func podWarnings(p *corev1.Pod) []string {
	w := &warner{}
	w.pod(&p.Spec, p.Annotations, nil)
	return w.out
}

func nameWarnings(name, use string) []string {
	w := &warner{}
	if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
		w.say(field.NewPath("metadata", "name"), "this is used in %s, which can result in surprising behavior; a DNS label is recommended: %v", use, problems)
	}
	return w.out
}

// seccompAnnotation is what the field seccompProfile was before it.
const seccompAnnotation = "seccomp.security.alpha.kubernetes.io/pod"

// warner collects warnings, each with the path of its field.
type warner struct{ out []string }

func (w *warner) say(at *field.Path, format string, args ...any) {
	w.out = append(w.out, fmt.Sprintf("%s: ", at)+fmt.Sprintf(format, args...))
}

func (w *warner) pod(s *corev1.PodSpec, annotations map[string]string, path *field.Path) {
	spec := path.Child("spec")
	for _, key := range slices.Sorted(maps.Keys(s.NodeSelector)) {
		if m := deprecatedLabel(key); m != "" {
			w.say(spec.Child("nodeSelector").Key(key), "%s", m)
		}
	}
	w.affinity(s.Affinity, spec.Child("affinity"))
	for i, c := range s.TopologySpreadConstraints {
		at := spec.Child("topologySpreadConstraints").Index(i)
		if m := deprecatedLabel(c.TopologyKey); m != "" {
			w.say(at.Child("topologyKey"), "%s is %s", c.TopologyKey, m)
		}
		if c.LabelSelector == nil {
			w.say(at.Child("labelSelector"), "a null labelSelector results in matching no pod")
		}
	}
	for key, instead := range map[string]string{
		"scheduler.alpha.kubernetes.io/critical-pod":  `non-functional in v1.16+; use the "priorityClassName" field instead`,
		"security.alpha.kubernetes.io/sysctls":        `non-functional in v1.11+; use the "sysctls" field instead`,
		"security.alpha.kubernetes.io/unsafe-sysctls": `non-functional in v1.11+; use the "sysctls" field instead`,
		seccompAnnotation:                             `non-functional in v1.27+; use the "seccompProfile" field instead`,
	} {
		if _, ok := annotations[key]; ok && (key != seccompAnnotation || s.SecurityContext == nil || s.SecurityContext.SeccompProfile == nil) {
			w.say(path.Child("metadata", "annotations").Key(key), "%s", instead)
		}
	}
	w.volumes(s.Volumes, spec.Child("volumes"))
	w.twice(s, spec)
	w.whole(s.Overhead, spec.Child("overhead"))
	if g := s.TerminationGracePeriodSeconds; g != nil && *g < 0 {
		w.say(spec.Child("terminationGracePeriodSeconds"), "must be >= 0; negative values are invalid and will be treated as 1")
	}
	w.containers(s, spec)
	containersAt(s, nil, func(c *corev1.Container, _ *field.Path) {
		key := seccompOfContainer + c.Name
		if _, ok := annotations[key]; ok && (c.SecurityContext == nil || c.SecurityContext.SeccompProfile == nil) {
			w.say(path.Child("metadata", "annotations").Key(key), `non-functional in v1.27+; use the "seccompProfile" field instead`)
		}
	})
	if s.DNSConfig != nil {
		for i, ns := range s.DNSConfig.Nameservers {
			w.out = append(w.out, validate.IPWarnings(ns, spec.Child("dnsConfig", "nameservers").Index(i))...)
		}
	}
	for i, a := range s.HostAliases {
		w.out = append(w.out, validate.IPWarnings(a.IP, spec.Child("hostAliases").Index(i).Child("ip"))...)
	}
}

// twice tells of entries of lists that are there before.
func (w *warner) twice(s *corev1.PodSpec, spec *field.Path) {
	seen := sets.New[string]()
	for i, a := range s.HostAliases {
		if seen.Has(a.IP) {
			w.say(spec.Child("hostAliases").Index(i).Child("ip"), "duplicate ip %q", a.IP)
		}
		seen.Insert(a.IP)
	}
	seen = sets.New[string]()
	for i, r := range s.ImagePullSecrets {
		at := spec.Child("imagePullSecrets").Index(i).Child("name")
		if seen.Has(r.Name) {
			w.say(at, "duplicate name %q", r.Name)
		}
		if r.Name == "" {
			w.say(at, "invalid empty name %q", r.Name)
		}
		seen.Insert(r.Name)
	}
}

// whole tells of amounts of bytes that are none.
func (w *warner) whole(list corev1.ResourceList, path *field.Path) {
	for _, name := range []corev1.ResourceName{corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		if q, ok := list[name]; ok {
			w.bytes(q, path.Key(string(name)))
		}
	}
}

func (w *warner) bytes(q resource.Quantity, at *field.Path) {
	if !whole(q) {
		w.say(at, "fractional byte value %q is invalid, must be an integer", q.String())
	}
}

func (w *warner) affinity(a *corev1.Affinity, path *field.Path) {
	if a == nil {
		return
	}
	if n := a.NodeAffinity; n != nil {
		if r := n.RequiredDuringSchedulingIgnoredDuringExecution; r != nil {
			for i, t := range r.NodeSelectorTerms {
				w.nodeTerm(t, false, path.Child("nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms").Index(i))
			}
		}
		for i, t := range n.PreferredDuringSchedulingIgnoredDuringExecution {
			w.nodeTerm(t.Preference, true, path.Child("nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution").Index(i).Child("preference"))
		}
	}
	if p := a.PodAffinity; p != nil {
		w.podTerms(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution, path.Child("podAffinity"))
	}
	if p := a.PodAntiAffinity; p != nil {
		w.podTerms(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution, path.Child("podAntiAffinity"))
	}
}

func (w *warner) nodeTerm(t corev1.NodeSelectorTerm, values bool, path *field.Path) {
	for i, e := range t.MatchExpressions {
		at := path.Child("matchExpressions").Index(i)
		if m := deprecatedLabel(e.Key); m != "" {
			w.say(at.Child("key"), "%s is %s", e.Key, m)
		}
		for k, v := range e.Values {
			if !values {
				break
			}
			for _, m := range validation.IsValidLabelValue(v) {
				w.say(at.Child("values").Index(k), "%s is invalid, %s", v, m)
			}
		}
	}
}

func (w *warner) podTerms(required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm, path *field.Path) {
	const none = "a null labelSelector results in matching no pod"
	for i, t := range required {
		if t.LabelSelector == nil {
			w.say(path.Child("requiredDuringSchedulingIgnoredDuringExecution").Index(i).Child("labelSelector"), none)
		}
	}
	for i, t := range preferred {
		if t.PodAffinityTerm.LabelSelector == nil {
			w.say(path.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(i).Child("podAffinityTerm", "labelSelector"), none)
		}
	}
}

// deprecatedLabel says what to use instead of a node's label.
func deprecatedLabel(key string) string {
	switch key {
	case "beta.kubernetes.io/arch", "beta.kubernetes.io/os":
		return fmt.Sprintf("deprecated since v1.14; use %q instead", strings.TrimPrefix(key, "beta."))
	case corev1.LabelFailureDomainBetaRegion:
		return fmt.Sprintf("deprecated since v1.17; use %q instead", corev1.LabelTopologyRegion)
	case corev1.LabelFailureDomainBetaZone:
		return fmt.Sprintf("deprecated since v1.17; use %q instead", corev1.LabelTopologyZone)
	case corev1.LabelInstanceType:
		return fmt.Sprintf("deprecated since v1.17; use %q instead", corev1.LabelInstanceTypeStable)
	case rolePrefix + "master":
		return fmt.Sprintf("use %q instead", rolePrefix+"control-plane")
	}
	return ""
}

// port is a port of a container, and where it stands.
type port struct {
	at *field.Path
	corev1.ContainerPort
}

func (w *warner) containers(s *corev1.PodSpec, spec *field.Path) {
	byNumber, byName := map[string][]port{}, map[string]*field.Path{}
	each := func(c *corev1.Container, at *field.Path) {
		w.whole(c.Resources.Limits, at.Child("resources", "limits"))
		w.whole(c.Resources.Requests, at.Child("resources", "requests"))
		w.env(c.Env, at.Child("env"))
		for i, p := range c.Ports {
			this := port{at.Child("ports").Index(i), p}
			if p.HostIP != "" && p.HostPort == 0 {
				w.say(this.at, "hostIP set without hostPort: {Name:%s HostPort:%d ContainerPort:%d Protocol:%s HostIP:%s}", p.Name, p.HostPort, p.ContainerPort, p.Protocol, p.HostIP)
			}
			key := fmt.Sprintf("%d/%s", p.ContainerPort, p.Protocol)
			for _, other := range byNumber[key] {
				w.ports(this, other)
			}
			byNumber[key] = append(byNumber[key], this)
		}
	}
	names := func(c *corev1.Container, at *field.Path) {
		for i, p := range c.Ports {
			if p.Name == "" {
				continue
			}
			this := at.Child("ports").Index(i)
			if first, ok := byName[p.Name]; ok {
				w.say(this, "duplicate port name %q with %s, services and probes that select ports by name will use %s", p.Name, first, first)
				continue
			}
			byName[p.Name] = this
		}
	}
	for _, visit := range []func(*corev1.Container, *field.Path){each, names} {
		for i := range s.InitContainers {
			visit(&s.InitContainers[i], spec.Child("initContainers").Index(i))
		}
		for i := range s.Containers {
			visit(&s.Containers[i], spec.Child("containers").Index(i))
		}
		for i := range s.EphemeralContainers {
			visit((*corev1.Container)(&s.EphemeralContainers[i].EphemeralContainerCommon), spec.Child("ephemeralContainers").Index(i))
		}
	}
}

// ports tells of two with one number and protocol.
func (w *warner) ports(p, other port) {
	switch {
	case p.HostIP == other.HostIP && p.HostPort == other.HostPort:
		w.say(p.at, "duplicate port definition with %s", other.at)
	case p.HostPort == 0 || other.HostPort == 0:
		w.say(p.at, "overlapping port definition with %s", other.at)
	case p.HostPort == other.HostPort && (p.HostIP == "") != (other.HostIP == ""):
		w.say(p.at, "dangerously ambiguous port definition with %s", other.at)
	}
}

// env tells of variables that hide earlier ones: an apply may drop one of them. A value that
// is made from the earlier one is meant.
func (w *warner) env(env []corev1.EnvVar, path *field.Path) {
	seen := sets.New[string]()
	for i, e := range env {
		before := fmt.Sprintf("$(%s)", e.Name)
		if seen.Has(e.Name) && (e.ValueFrom != nil || e.Value == before || !strings.Contains(e.Value, before)) {
			w.say(path.Index(i), "hides previous definition of %q, which may be dropped when using apply", e.Name)
		}
		seen.Insert(e.Name)
	}
}
