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
	"github.com/gantry-run/gantry/runtime/pod"
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

// token is a file with a token of the pod's service account.
func (c content) token(ctx context.Context, m Mounting, p *corev1.ServiceAccountTokenProjection, def fs.FileMode) ([]File, error) {
	token, err := c.tokens.Token(ctx, m.Pod, p)
	if err != nil {
		return nil, err
	}
	return []File{m.identity(File{Path: p.Path, Data: []byte(token)}, def)}, nil
}

// identity makes a file one of those that say who the pod is: it is for the user that all
// containers of the pod run as, or else root, and for the pod's group. Where the pod names
// neither, nobody knows who is to read it, and its mode is def.
func (m Mounting) identity(f File, def fs.FileMode) File {
	f.Mode, f.User = def, onlyUser(m.Pod)
	if f.User != nil || m.Group >= 0 {
		f.Mode = 0o600
	}
	return f
}

// onlyUser is the user that the pod wants all its containers to run as; nil where it wants
// several, or leaves one to the image.
func onlyUser(p *corev1.Pod) *int64 {
	var user *int64
	for _, c := range pod.Containers(&p.Spec, pod.AllContainers) {
		wanted := runAsUser(&p.Spec, c)
		if wanted == nil || user != nil && *user != *wanted {
			return nil
		}
		user = wanted
	}
	return user
}

func runAsUser(spec *corev1.PodSpec, c *corev1.Container) *int64 {
	if sc := c.SecurityContext; sc != nil && sc.RunAsUser != nil {
		return sc.RunAsUser
	}
	if sc := spec.SecurityContext; sc != nil {
		return sc.RunAsUser
	}
	return nil
}
