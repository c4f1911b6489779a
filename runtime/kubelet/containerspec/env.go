package containerspec

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/fieldpath"
)

// sources are the objects that a pod's environment may refer to. A nil map entry
// means that the object does not exist.
type sources struct {
	configMaps map[string]*corev1.ConfigMap
	secrets    map[string]*corev1.Secret
	services   []*corev1.Service // those whose addresses the pod is told
}

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
				if ptr.Deref(from.ConfigMapRef.Optional, false) {
					continue
				}
				return nil, fmt.Errorf("configmap %q not found", from.ConfigMapRef.Name)
			}
			data = cm.Data
		case from.SecretRef != nil:
			s := src.secrets[from.SecretRef.Name]
			if s == nil {
				if ptr.Deref(from.SecretRef.Optional, false) {
					continue
				}
				return nil, fmt.Errorf("secret %q not found", from.SecretRef.Name)
			}
			data = make(map[string]string, len(s.Data))
			for k, v := range s.Data {
				data[k] = string(v)
			}
		}
		for _, k := range slices.Sorted(maps.Keys(data)) {
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
		v, err := fieldpath.Field(pod, status, from.FieldRef.FieldPath)
		return v, err == nil, err
	case from.ResourceFieldRef != nil:
		v, err := fieldpath.Resource(pod, c, allocatable, from.ResourceFieldRef)
		return v, err == nil, err
	case from.ConfigMapKeyRef != nil:
		r := from.ConfigMapKeyRef
		if cm := src.configMaps[r.Name]; cm != nil {
			if v, ok := cm.Data[r.Key]; ok {
				return v, true, nil
			}
			if ptr.Deref(r.Optional, false) {
				return "", false, nil
			}
			return "", false, fmt.Errorf("couldn't find key %s in ConfigMap %s/%s", r.Key, pod.Namespace, r.Name)
		}
		if ptr.Deref(r.Optional, false) {
			return "", false, nil
		}
		return "", false, fmt.Errorf("configmap %q not found", r.Name)
	case from.SecretKeyRef != nil:
		r := from.SecretKeyRef
		if s := src.secrets[r.Name]; s != nil {
			if v, ok := s.Data[r.Key]; ok {
				return string(v), true, nil
			}
			if ptr.Deref(r.Optional, false) {
				return "", false, nil
			}
			return "", false, fmt.Errorf("couldn't find key %s in Secret %s/%s", r.Key, pod.Namespace, r.Name)
		}
		if ptr.Deref(r.Optional, false) {
			return "", false, nil
		}
		return "", false, fmt.Errorf("secret %q not found", r.Name)
	}
	return "", false, nil
}
