package kubelet

import (
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// sources are the objects that a pod's environment may refer to. A nil map entry
// means that the object does not exist.
type sources struct {
	configMaps map[string]*corev1.ConfigMap
	secrets    map[string]*corev1.Secret
	services   []*corev1.Service // those whose addresses the pod is told
}

// configError is a mistake in the pod or something that it refers to and that is
// not there: reported as CreateContainerConfigError, and tried again.
type configError struct{ msg string }

func (e configError) Error() string { return e.msg }

func configErrorf(format string, args ...any) error { return configError{fmt.Sprintf(format, args...)} }

// environment computes a container's variables, in order, later ones replacing
// earlier ones of the same name. status holds the pod's addresses.
func environment(pod *corev1.Pod, c *corev1.Container, status *corev1.PodStatus, allocatable corev1.ResourceList, src sources) ([]string, error) {
	e := envList{values: map[string]string{}}
	for _, s := range src.services {
		for _, kv := range serviceEnv(s) {
			e.set(kv[0], kv[1])
		}
	}
	for _, from := range c.EnvFrom {
		var data map[string]string
		switch {
		case from.ConfigMapRef != nil:
			cm := src.configMaps[from.ConfigMapRef.Name]
			if cm == nil {
				if optional(from.ConfigMapRef.Optional) {
					continue
				}
				return nil, configErrorf("configmap %q not found", from.ConfigMapRef.Name)
			}
			data = cm.Data
		case from.SecretRef != nil:
			s := src.secrets[from.SecretRef.Name]
			if s == nil {
				if optional(from.SecretRef.Optional) {
					continue
				}
				return nil, configErrorf("secret %q not found", from.SecretRef.Name)
			}
			data = make(map[string]string, len(s.Data))
			for k, v := range s.Data {
				data[k] = string(v)
			}
		}
		keys := make([]string, 0, len(data))
		for k := range data {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			e.set(from.Prefix+k, data[k])
		}
	}
	for _, v := range c.Env {
		if v.ValueFrom == nil {
			e.set(v.Name, expand(v.Value, e.values))
			continue
		}
		value, ok, err := valueFrom(pod, c, status, allocatable, src, v.ValueFrom)
		if err != nil {
			return nil, err
		}
		if ok {
			e.set(v.Name, value)
		}
	}
	return e.list(), nil
}

func optional(b *bool) bool { return b != nil && *b }

type envList struct {
	names  []string
	values map[string]string
}

func (e *envList) set(name, value string) {
	if _, ok := e.values[name]; !ok {
		e.names = append(e.names, name)
	}
	e.values[name] = value
}

func (e *envList) list() []string {
	out := make([]string, 0, len(e.names))
	for _, n := range e.names {
		out = append(out, n+"="+e.values[n])
	}
	return out
}

func valueFrom(pod *corev1.Pod, c *corev1.Container, status *corev1.PodStatus, allocatable corev1.ResourceList, src sources, from *corev1.EnvVarSource) (string, bool, error) {
	switch {
	case from.FieldRef != nil:
		v, err := field(pod, status, from.FieldRef.FieldPath)
		return v, err == nil, err
	case from.ResourceFieldRef != nil:
		v, err := resourceField(pod, c, allocatable, from.ResourceFieldRef)
		return v, err == nil, err
	case from.ConfigMapKeyRef != nil:
		r := from.ConfigMapKeyRef
		if cm := src.configMaps[r.Name]; cm != nil {
			if v, ok := cm.Data[r.Key]; ok {
				return v, true, nil
			}
			if optional(r.Optional) {
				return "", false, nil
			}
			return "", false, configErrorf("couldn't find key %s in ConfigMap %s/%s", r.Key, pod.Namespace, r.Name)
		}
		if optional(r.Optional) {
			return "", false, nil
		}
		return "", false, configErrorf("configmap %q not found", r.Name)
	case from.SecretKeyRef != nil:
		r := from.SecretKeyRef
		if s := src.secrets[r.Name]; s != nil {
			if v, ok := s.Data[r.Key]; ok {
				return string(v), true, nil
			}
			if optional(r.Optional) {
				return "", false, nil
			}
			return "", false, configErrorf("couldn't find key %s in Secret %s/%s", r.Key, pod.Namespace, r.Name)
		}
		if optional(r.Optional) {
			return "", false, nil
		}
		return "", false, configErrorf("secret %q not found", r.Name)
	}
	return "", false, nil
}

// field is a downward API field of the pod.
func field(pod *corev1.Pod, status *corev1.PodStatus, path string) (string, error) {
	switch path {
	case "metadata.name":
		return pod.Name, nil
	case "metadata.namespace":
		return pod.Namespace, nil
	case "metadata.uid":
		return string(pod.UID), nil
	case "metadata.labels":
		return quotedMap(pod.Labels), nil
	case "metadata.annotations":
		return quotedMap(pod.Annotations), nil
	case "spec.nodeName":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.hostIP":
		return status.HostIP, nil
	case "status.podIP":
		return status.PodIP, nil
	case "status.hostIPs":
		ips := make([]string, 0, len(status.HostIPs))
		for _, ip := range status.HostIPs {
			ips = append(ips, ip.IP)
		}
		return strings.Join(ips, ","), nil
	case "status.podIPs":
		ips := make([]string, 0, len(status.PodIPs))
		for _, ip := range status.PodIPs {
			ips = append(ips, ip.IP)
		}
		return strings.Join(ips, ","), nil
	}
	for prefix, m := range map[string]map[string]string{"metadata.labels": pod.Labels, "metadata.annotations": pod.Annotations} {
		if key, ok := strings.CutPrefix(path, prefix+"['"); ok && strings.HasSuffix(key, "']") {
			return m[strings.TrimSuffix(key, "']")], nil
		}
	}
	return "", configErrorf("field %q is not available to containers", path)
}

func quotedMap(m map[string]string) string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var b strings.Builder
	for i, k := range keys {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s=%q", k, m[k])
	}
	return b.String()
}

// resourceField is a request or limit, in units of the divisor, rounded up. A
// limit that is not set is what the node has.
func resourceField(pod *corev1.Pod, c *corev1.Container, allocatable corev1.ResourceList, ref *corev1.ResourceFieldSelector) (string, error) {
	if ref.ContainerName != "" {
		c = containerByName(pod, ref.ContainerName)
		if c == nil {
			return "", configErrorf("container %q of a resource field does not exist", ref.ContainerName)
		}
	}
	kind, name, ok := strings.Cut(ref.Resource, ".")
	list := map[string]corev1.ResourceList{"limits": c.Resources.Limits, "requests": c.Resources.Requests}[kind]
	if !ok || (kind != "limits" && kind != "requests") {
		return "", configErrorf("resource field %q is not known", ref.Resource)
	}
	q, set := list[corev1.ResourceName(name)]
	if !set && kind == "limits" {
		q = allocatable[corev1.ResourceName(name)]
	} else if !set {
		q = c.Resources.Limits[corev1.ResourceName(name)]
	}
	divisor := ref.Divisor
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	if name == string(corev1.ResourceCPU) {
		return strconv.FormatInt(int64(math.Ceil(float64(q.MilliValue())/float64(divisor.MilliValue()))), 10), nil
	}
	return strconv.FormatInt(int64(math.Ceil(float64(q.Value())/float64(divisor.Value()))), 10), nil
}

// serviceEnv is how a Service is told by variables, the form that Docker links
// once had.
func serviceEnv(s *corev1.Service) [][2]string {
	prefix := strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_"))
	out := [][2]string{{prefix + "_SERVICE_HOST", s.Spec.ClusterIP}}
	for i, p := range s.Spec.Ports {
		port := strconv.Itoa(int(p.Port))
		if i == 0 {
			out = append(out, [2]string{prefix + "_SERVICE_PORT", port})
		}
		if p.Name != "" {
			out = append(out, [2]string{prefix + "_SERVICE_PORT_" + strings.ToUpper(strings.ReplaceAll(p.Name, "-", "_")), port})
		}
	}
	for i, p := range s.Spec.Ports {
		proto := strings.ToLower(string(p.Protocol))
		if proto == "" {
			proto = "tcp"
		}
		port := strconv.Itoa(int(p.Port))
		url := proto + "://" + net.JoinHostPort(s.Spec.ClusterIP, port)
		if i == 0 {
			out = append(out, [2]string{prefix + "_PORT", url})
		}
		key := prefix + "_PORT_" + port + "_" + strings.ToUpper(proto)
		out = append(out, [2]string{key, url}, [2]string{key + "_PROTO", proto}, [2]string{key + "_PORT", port}, [2]string{key + "_ADDR", s.Spec.ClusterIP})
	}
	return out
}

// expand replaces $(NAME) by the variable's value; $$ stands for a dollar sign,
// and a name that is not set stays as it is.
func expand(s string, vars map[string]string) string {
	if !strings.Contains(s, "$") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		switch s[i+1] {
		case '$':
			b.WriteByte('$')
			i++
		case '(':
			end := strings.IndexByte(s[i:], ')')
			if end < 0 {
				b.WriteByte('$')
				continue
			}
			if v, ok := vars[s[i+2:i+end]]; ok {
				b.WriteString(v)
			} else {
				b.WriteString(s[i : i+end+1])
			}
			i += end
		default:
			b.WriteByte('$')
		}
	}
	return b.String()
}

func expandAll(list []string, env []string) []string {
	vars := make(map[string]string, len(env))
	for _, e := range env {
		k, v, _ := strings.Cut(e, "=")
		vars[k] = v
	}
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = expand(s, vars)
	}
	return out
}

func containerByName(pod *corev1.Pod, name string) *corev1.Container {
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}
