package nodeauth

import (
	"context"
	"fmt"
	"strings"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/config"
)

// model is a cluster whose cache may lag behind: what is only in fresh is seen by
// fresh reads only. failing, if set, is asked before each read.
type model struct {
	cached, fresh []corev1.Pod // fresh are in addition to cached, or replace those of the same name
	claims        []corev1.PersistentVolumeClaim
	volumes       []corev1.PersistentVolume
	failing       func(call string) error
	calls         []string
}

func (m *model) begin(format string, args ...any) error {
	call := fmt.Sprintf(format, args...)
	m.calls = append(m.calls, call)
	if m.failing != nil {
		return m.failing(call)
	}
	return nil
}

func (m *model) pods(fresh bool) []corev1.Pod {
	if !fresh {
		return m.cached
	}
	out := append([]corev1.Pod(nil), m.fresh...)
	for _, p := range m.cached {
		newer := false
		for _, f := range m.fresh {
			newer = newer || f.Namespace == p.Namespace && f.Name == p.Name
		}
		if !newer {
			out = append(out, p)
		}
	}
	return out
}

func (m *model) Pods(_ context.Context, node string, fresh bool) ([]corev1.Pod, error) {
	if err := m.begin("pods of %s, fresh %v", node, fresh); err != nil {
		return nil, err
	}
	var out []corev1.Pod
	for _, p := range m.pods(fresh) {
		if p.Spec.NodeName == node {
			out = append(out, p)
		}
	}
	return out, nil
}

func (m *model) Pod(_ context.Context, namespace, name string, fresh bool) (*corev1.Pod, error) {
	if err := m.begin("pod %s/%s, fresh %v", namespace, name, fresh); err != nil {
		return nil, err
	}
	for _, p := range m.pods(fresh) {
		if p.Namespace == namespace && p.Name == name {
			return &p, nil
		}
	}
	return nil, apierrors.NewNotFound(corev1.Resource("pods"), name)
}

func (m *model) Claim(_ context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error) {
	if err := m.begin("claim %s/%s", namespace, name); err != nil {
		return nil, err
	}
	for i := range m.claims {
		if c := &m.claims[i]; c.Namespace == namespace && c.Name == name {
			return c, nil
		}
	}
	return nil, apierrors.NewNotFound(corev1.Resource("persistentvolumeclaims"), name)
}

func (m *model) Volume(_ context.Context, name string) (*corev1.PersistentVolume, error) {
	if err := m.begin("volume %s", name); err != nil {
		return nil, err
	}
	for i := range m.volumes {
		if v := &m.volumes[i]; v.Name == name {
			return v, nil
		}
	}
	return nil, apierrors.NewNotFound(corev1.Resource("persistentvolumes"), name)
}

// Attachment: those named after a node are to it.
func (m *model) Attachment(_ context.Context, name string) (*storagev1.VolumeAttachment, error) {
	if name == "gone" {
		return nil, apierrors.NewNotFound(storagev1.Resource("volumeattachments"), name)
	}
	return &storagev1.VolumeAttachment{Spec: storagev1.VolumeAttachmentSpec{NodeName: strings.TrimPrefix(name, "to-")}}, nil
}

// PodCertificateRequest: those named after a node are of it.
func (m *model) PodCertificateRequest(_ context.Context, _, name string) (*certificatesv1.PodCertificateRequest, error) {
	if name == "gone" {
		return nil, apierrors.NewNotFound(corev1.Resource("podcertificaterequests"), name)
	}
	return &certificatesv1.PodCertificateRequest{Spec: certificatesv1.PodCertificateRequestSpec{NodeName: types.NodeName(strings.TrimPrefix(name, "of-"))}}, nil
}

// ResourceSlice: those named after a node are of it.
func (m *model) ResourceSlice(_ context.Context, name string) (*resourcev1.ResourceSlice, error) {
	if name == "gone" {
		return nil, apierrors.NewNotFound(resourcev1.Resource("resourceslices"), name)
	}
	return &resourcev1.ResourceSlice{Spec: resourcev1.ResourceSliceSpec{NodeName: ptr.To(strings.TrimPrefix(name, "of-"))}}, nil
}

// volume is one that is bound to a claim.
func volume(name, namespace, claim string) corev1.PersistentVolume {
	v := corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if claim != "" {
		v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: namespace, Name: claim}
	}
	return v
}

// onNode is one of the cluster's own that lies on a node.
func onNode(v corev1.PersistentVolume, node string) corev1.PersistentVolume {
	v.Labels = map[string]string{config.LocalVolumeNode: node}
	return v
}

// withSecret mounts with a secret of the claim's namespace.
func withSecret(v corev1.PersistentVolume, name string) corev1.PersistentVolume {
	v.Spec.CephFS = &corev1.CephFSPersistentVolumeSource{SecretRef: &corev1.SecretReference{Name: name}}
	return v
}

func podOn(node, namespace, name string, spec corev1.PodSpec) corev1.Pod {
	spec.NodeName = node
	return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: spec}
}

func claim(namespace, name, volume string) corev1.PersistentVolumeClaim {
	return corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.PersistentVolumeClaimSpec{VolumeName: volume}}
}

// usingAll refers to one object of each kind, named after the suffix.
func usingAll(suffix string) corev1.PodSpec {
	return corev1.PodSpec{
		ServiceAccountName: "account-" + suffix,
		ImagePullSecrets:   []corev1.LocalObjectReference{{Name: "secret-" + suffix}},
		Volumes: []corev1.Volume{
			{Name: "c", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "config-" + suffix}}}},
			{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "claim-" + suffix}}},
		},
	}
}

// withDevices has a claim, one that was made of a template, and one for extended resources.
func withDevices(p corev1.Pod, suffix string) corev1.Pod {
	p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "own", ResourceClaimName: ptr.To("devices-" + suffix)}, {Name: "made", ResourceClaimTemplateName: ptr.To("t")}}
	p.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{
		{Name: "made", ResourceClaimName: ptr.To("made-" + suffix)}, {Name: "other", ResourceClaimName: ptr.To("of-another-name")}, {Name: "made"},
	}
	p.Status.ExtendedResourceClaimStatus = &corev1.PodExtendedResourceClaimStatus{ResourceClaimName: "extended-" + suffix}
	return p
}

func nodeUser(name string) user.Info {
	return &user.DefaultInfo{Name: config.NodeUserPrefix + name, Groups: []string{"system:authenticated", config.NodesGroup}}
}

// request is written "verb group/resource/subresource namespace name", with "-" for
// what is empty. The core group is "core".
func request(t *testing.T, text string) authorizer.AttributesRecord {
	t.Helper()
	words := strings.Fields(text)
	if len(words) != 4 {
		t.Fatalf("request %q", text)
	}
	for i, w := range words {
		if w == "-" {
			words[i] = ""
		}
	}
	parts := append(strings.Split(words[1], "/"), "")
	if parts[0] == "core" {
		parts[0] = ""
	}
	return authorizer.AttributesRecord{
		ResourceRequest: true, Verb: words[0], APIGroup: parts[0], Resource: parts[1], Subresource: parts[2], Namespace: words[2], Name: words[3],
	}
}
