package volume

import (
	"context"
	"fmt"
	"io/fs"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/fieldpath"
	"github.com/gantry-run/gantry/runtime/kubelet/objects"
)

// content computes the files of volumes whose content comes from the API.
type content struct {
	objects      Objects
	tokens       Tokens
	certificates Certificates
	allocatable  corev1.ResourceList
}

const defaultMode fs.FileMode = 0o644

func fileMode(m *int32) fs.FileMode { return modeOr(m, defaultMode) }

func modeOr(m *int32, def fs.FileMode) fs.FileMode {
	if m == nil {
		return def
	}
	return fs.FileMode(*m)
}

func (c content) configMap(ctx context.Context, m Mounting, p *corev1.ConfigMapProjection, def fs.FileMode) ([]File, error) {
	cm, err := c.objects.ConfigMap(ctx, m.Pod.Namespace, p.Name)
	optional := ptr.Deref(p.Optional, false)
	key := objects.Key{Kind: objects.ConfigMap, Namespace: m.Pod.Namespace, Name: p.Name}
	if apierrors.IsNotFound(err) && optional {
		c.objects.Follow(ctx, key, string(m.Pod.UID), "", m.Changed)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c.objects.Follow(ctx, key, string(m.Pod.UID), cm.ResourceVersion, m.Changed)
	data := make(map[string][]byte, len(cm.Data)+len(cm.BinaryData))
	for key, v := range cm.Data {
		data[key] = []byte(v)
	}
	for key, v := range cm.BinaryData {
		data[key] = v
	}
	return keyFiles("configmap "+p.Name, data, p.Items, optional, def)
}

func (c content) secret(ctx context.Context, m Mounting, p *corev1.SecretProjection, def fs.FileMode) ([]File, error) {
	s, err := c.objects.Secret(ctx, m.Pod.Namespace, p.Name)
	optional := ptr.Deref(p.Optional, false)
	key := objects.Key{Kind: objects.Secret, Namespace: m.Pod.Namespace, Name: p.Name}
	if apierrors.IsNotFound(err) && optional {
		c.objects.Follow(ctx, key, string(m.Pod.UID), "", m.Changed)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c.objects.Follow(ctx, key, string(m.Pod.UID), s.ResourceVersion, m.Changed)
	return keyFiles("secret "+p.Name, s.Data, p.Items, optional, def)
}

// keyFiles are the files of an object's keys: all of them, or those that items name.
func keyFiles(of string, data map[string][]byte, items []corev1.KeyToPath, optional bool, def fs.FileMode) ([]File, error) {
	var out []File
	if len(items) == 0 {
		for key, v := range data {
			out = append(out, File{Path: key, Data: v, Mode: def})
		}
		return out, nil
	}
	for _, it := range items {
		v, ok := data[it.Key]
		if !ok {
			if optional {
				continue
			}
			return nil, fmt.Errorf("%s has no key %q", of, it.Key)
		}
		out = append(out, File{Path: it.Path, Data: v, Mode: modeOr(it.Mode, def)})
	}
	return out, nil
}

func (c content) downward(m Mounting, items []corev1.DownwardAPIVolumeFile, def fs.FileMode) ([]File, error) {
	var out []File
	for _, it := range items {
		var v string
		var err error
		switch {
		case it.FieldRef != nil:
			v, err = fieldpath.Field(m.Pod, m.Status, it.FieldRef.FieldPath)
		case it.ResourceFieldRef != nil:
			v, err = fieldpath.Resource(m.Pod, &corev1.Container{}, c.allocatable, it.ResourceFieldRef)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, File{Path: it.Path, Data: []byte(v), Mode: modeOr(it.Mode, def)})
	}
	return out, nil
}

// token is a file that only its group may read beside root where the pod has one; where
// it has none and some container is not root's, everybody in the pod may.
func (c content) token(ctx context.Context, m Mounting, p *corev1.ServiceAccountTokenProjection) ([]File, error) {
	token, err := c.tokens.Token(ctx, m.Pod, p)
	if err != nil {
		return nil, err
	}
	mode := fs.FileMode(0o600)
	if m.Group < 0 && !runsAsRoot(m.Pod) {
		mode = 0o644
	}
	return []File{{Path: p.Path, Data: []byte(token), Mode: mode}}, nil
}

// runsAsRoot says whether the pod wants all its containers to run as root.
func runsAsRoot(pod *corev1.Pod) bool {
	for _, c := range pod.Spec.Containers {
		var user *int64
		if sc := pod.Spec.SecurityContext; sc != nil {
			user = sc.RunAsUser
		}
		if sc := c.SecurityContext; sc != nil && sc.RunAsUser != nil {
			user = sc.RunAsUser
		}
		if user == nil || *user != 0 {
			return false
		}
	}
	return true
}
