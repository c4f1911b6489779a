package nodeauth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
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

func TestNodeOf(t *testing.T) {
	tests := []struct {
		name string
		user user.Info
		node string
		ok   bool
	}{
		{"a node", nodeUser("a"), "a", true},
		{"without the group", &user.DefaultInfo{Name: "system:node:a"}, "", false},
		{"of other groups", &user.DefaultInfo{Name: "system:node:a", Groups: []string{"system:masters"}}, "", false},
		{"without the prefix", &user.DefaultInfo{Name: "a", Groups: []string{config.NodesGroup}}, "", false},
		{"nobody", nil, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if node, ok := NodeOf(tt.user); ok != tt.ok || ok && node != tt.node {
				t.Errorf("%q, %v", node, ok)
			}
		})
	}
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

func TestAuthorize(t *testing.T) {
	const (
		yes = true
		no  = false
	)
	tests := []struct {
		request string
		want    bool
	}{
		// Its own Node; all others to read.
		{"get core/nodes - a", yes},
		{"get core/nodes - b", yes},
		{"list core/nodes - -", yes},
		{"watch core/nodes - -", yes},
		{"create core/nodes - -", yes},
		{"update core/nodes - a", yes},
		{"patch core/nodes - a", yes},
		{"delete core/nodes - a", no},
		{"update core/nodes - b", no},
		{"patch core/nodes - b", no},
		{"delete core/nodes - b", no},
		{"deletecollection core/nodes - -", no},
		{"update core/nodes/status - a", yes},
		{"patch core/nodes/status - a", yes},
		{"get core/nodes/status - a", no},
		{"update core/nodes/status - b", no},
		{"get core/nodes/proxy - a", no},

		// What all nodes read.
		{"get core/services team s", yes},
		{"list core/services - -", yes},
		{"watch core/services - -", yes},
		{"update core/services team s", no},
		{"update core/services/status team s", no},
		{"get node.k8s.io/runtimeclasses - r", yes},
		{"delete node.k8s.io/runtimeclasses - r", no},
		{"watch storage.k8s.io/csidrivers - -", yes},
		{"create storage.k8s.io/csidrivers - -", no},
		{"get example.com/services team s", no},

		{"create core/events team -", yes},
		{"update core/events team e", yes},
		{"patch core/events team e", yes},
		{"get core/events team e", no},
		{"delete core/events team e", no},

		// Its lease.
		{"create coordination.k8s.io/leases kube-node-lease -", yes},
		{"get coordination.k8s.io/leases kube-node-lease a", yes},
		{"update coordination.k8s.io/leases kube-node-lease a", yes},
		{"patch coordination.k8s.io/leases kube-node-lease a", yes},
		{"delete coordination.k8s.io/leases kube-node-lease a", yes},
		{"list coordination.k8s.io/leases kube-node-lease a", no},
		{"get coordination.k8s.io/leases kube-node-lease b", no},
		{"update coordination.k8s.io/leases kube-node-lease b", no},
		{"delete coordination.k8s.io/leases kube-node-lease b", no},
		{"create coordination.k8s.io/leases kube-system -", no},
		{"get coordination.k8s.io/leases kube-system a", no},
		{"update coordination.k8s.io/leases kube-system a", no},

		{"create storage.k8s.io/csinodes - -", yes},
		{"get storage.k8s.io/csinodes - a", yes},
		{"update storage.k8s.io/csinodes - a", yes},
		{"patch storage.k8s.io/csinodes - a", yes},
		{"delete storage.k8s.io/csinodes - a", yes},
		{"watch storage.k8s.io/csinodes - a", no},
		{"get storage.k8s.io/csinodes - b", no},
		{"update storage.k8s.io/csinodes - b", no},
		{"delete storage.k8s.io/csinodes - b", no},

		// Who its kubelet's callers are, and its own certificates.
		{"create authentication.k8s.io/tokenreviews - -", yes},
		{"get authentication.k8s.io/tokenreviews - x", no},
		{"create authorization.k8s.io/subjectaccessreviews - -", yes},
		{"update authorization.k8s.io/subjectaccessreviews - x", no},
		{"create authorization.k8s.io/localsubjectaccessreviews team -", yes},
		{"list authorization.k8s.io/localsubjectaccessreviews team -", no},
		{"create certificates.k8s.io/certificatesigningrequests - -", yes},
		{"get certificates.k8s.io/certificatesigningrequests - c", yes},
		{"watch certificates.k8s.io/certificatesigningrequests - -", yes},
		{"update certificates.k8s.io/certificatesigningrequests - c", no},
		{"update certificates.k8s.io/certificatesigningrequests/approval - c", no},
		{"update certificates.k8s.io/certificatesigningrequests/status - c", no},

		// Its pods.
		{"get core/pods team on-a", yes},
		{"delete core/pods team on-a", yes},
		{"update core/pods team on-a", no},
		{"create core/pods team -", yes},
		{"list core/pods team on-a", yes},
		{"watch core/pods team on-a", yes},
		{"list core/pods team on-b", no},
		{"get core/pods team gone", yes},
		{"list core/pods team gone", no},
		{"watch core/pods team gone", no},
		{"deletecollection core/pods team -", no},
		{"get core/pods team on-b", no},
		{"delete core/pods team on-b", no},
		{"get core/pods team pending", no},
		{"get core/pods other on-b", no},
		{"update core/pods/status team on-a", yes},
		{"patch core/pods/status team on-a", yes},
		{"get core/pods/status team on-a", no},
		{"patch core/pods/status team on-b", no},
		{"create core/pods/eviction team on-a", yes},
		{"create core/pods/eviction team on-b", no},
		{"create core/pods/eviction team -", no},
		{"update core/pods/eviction team on-a", no},
		{"create core/pods/binding team on-a", no},
		{"create core/pods/exec team on-a", no},
		{"get core/pods/log team on-a", no},

		// What its pods refer to, in their namespace, by name.
		{"get core/secrets team secret-a", yes},
		{"list core/secrets team secret-a", yes},
		{"watch core/secrets team secret-a", yes},
		{"list core/secrets team -", no},
		{"update core/secrets team secret-a", no},
		{"create core/secrets team secret-a", no},
		{"get core/secrets team secret-b", no},
		{"get core/secrets other secret-a", no},
		{"get core/secrets team config-a", no},
		{"get core/configmaps team config-a", yes},
		{"watch core/configmaps team config-a", yes},
		{"patch core/configmaps team config-a", no},
		{"get core/configmaps team config-b", no},
		{"get core/configmaps other config-a", no},
		{"get core/configmaps team secret-a", no},
		{"get core/serviceaccounts team account-a", yes},
		{"list core/serviceaccounts team account-a", no},
		{"watch core/serviceaccounts team account-a", no},
		{"create core/serviceaccounts team account-a", no},
		{"delete core/serviceaccounts team account-a", no},
		{"get core/serviceaccounts team account-b", no},
		{"create core/serviceaccounts/token team account-a", yes},
		{"update core/serviceaccounts/token team account-a", no},
		{"create core/serviceaccounts/token team account-b", no},
		{"create core/serviceaccounts/token other account-a", no},
		{"create core/serviceaccounts/token team -", no},
		{"get core/persistentvolumeclaims team claim-a", yes},
		{"list core/persistentvolumeclaims team claim-a", no},
		{"update core/persistentvolumeclaims team claim-a", no},
		{"update core/persistentvolumeclaims/status team claim-a", yes},
		{"patch core/persistentvolumeclaims/status team claim-a", yes},
		{"get core/persistentvolumeclaims/status team claim-a", no},
		{"patch core/persistentvolumeclaims/status team claim-b", no},
		{"get core/persistentvolumeclaims team claim-b", no},
		{"get core/persistentvolumeclaims other claim-a", no},

		// The volumes those claims are bound to.
		{"get core/persistentvolumes - volume-a", yes},
		{"list core/persistentvolumes - volume-a", no},
		{"update core/persistentvolumes - volume-a", no},
		{"get core/persistentvolumes - volume-b", no},
		{"get core/persistentvolumes - volume-other", no},
		{"get core/persistentvolumes - volume-free", no},
		{"get core/persistentvolumes - gone", no},
		{"get core/persistentvolumes - volume-on-a", yes},
		{"update core/persistentvolumes - volume-on-a", yes},
		{"patch core/persistentvolumes - volume-on-a", yes},
		{"delete core/persistentvolumes - volume-on-a", no},
		{"update core/persistentvolumes/status - volume-on-a", no},
		{"list core/persistentvolumes - volume-on-a", no},
		{"get core/persistentvolumes - volume-on-b", no},
		{"update core/persistentvolumes - volume-on-b", no},
		{"get core/persistentvolumes - -", no},
		// The secrets that those are mounted with.
		{"get core/secrets team mount-a", yes},
		{"get core/secrets other mount-a", no},
		{"get core/secrets team mount-b", no},
		{"get core/secrets team mount-stolen", no},
		// What a mirror pod says of itself gives nothing.
		{"get core/secrets team secret-m", no},
		{"get core/configmaps team config-m", no},
		{"get core/pods team mirror", yes},

		{"get storage.k8s.io/volumeattachments - to-a", yes},
		{"get storage.k8s.io/volumeattachments - to-b", no},
		{"get storage.k8s.io/volumeattachments - gone", no},
		{"list storage.k8s.io/volumeattachments - to-a", no},
		{"get certificates.k8s.io/podcertificaterequests team of-a", yes},
		{"get certificates.k8s.io/podcertificaterequests team of-b", no},
		{"get certificates.k8s.io/podcertificaterequests team gone", no},
		{"create certificates.k8s.io/podcertificaterequests team -", yes},
		{"list certificates.k8s.io/podcertificaterequests - -", no},
		{"update certificates.k8s.io/podcertificaterequests team of-a", no},
		{"update certificates.k8s.io/podcertificaterequests/status team of-a", no},
		{"get resource.k8s.io/resourceslices - of-a", yes},
		{"patch resource.k8s.io/resourceslices - of-a", yes},
		{"delete resource.k8s.io/resourceslices - of-a", yes},
		{"update resource.k8s.io/resourceslices - of-b", no},
		{"delete resource.k8s.io/resourceslices - gone", no},
		{"create resource.k8s.io/resourceslices - -", yes},
		{"list resource.k8s.io/resourceslices - -", no},
		{"deletecollection resource.k8s.io/resourceslices - -", no},
		{"get resource.k8s.io/resourceclaims team devices-a", yes},
		{"get resource.k8s.io/resourceclaims team made-a", yes},
		{"get resource.k8s.io/resourceclaims team extended-a", yes},
		{"get resource.k8s.io/resourceclaims team devices-b", no},
		{"get resource.k8s.io/resourceclaims team made-b", no},
		{"get resource.k8s.io/resourceclaims team of-another-name", no},
		{"list resource.k8s.io/resourceclaims team devices-a", no},
		{"update resource.k8s.io/resourceclaims/status team devices-a", no},
		{"get resource.k8s.io/deviceclasses - c", no},
		{"watch certificates.k8s.io/clustertrustbundles - -", yes},
		{"create certificates.k8s.io/clustertrustbundles - -", no},
		{"create events.k8s.io/events team -", yes},

		{"get core/namespaces - team", no},
		{"get rbac.authorization.k8s.io/roles team r", no},
		{"get apps/deployments team d", no},
	}
	mirror := podOn("a", "team", "mirror", usingAll("m"))
	mirror.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: ""}
	thief := usingAll("a")
	thief.Volumes[1].PersistentVolumeClaim.ClaimName = "claim-thief"
	m := &model{
		cached: []corev1.Pod{
			mirror, podOn("a", "team", "thief", thief),
			withDevices(podOn("a", "team", "on-a", usingAll("a")), "a"), withDevices(podOn("b", "team", "on-b", usingAll("b")), "b"), podOn("", "team", "pending", usingAll("b")),
			podOn("a", "plain", "on-a", corev1.PodSpec{}), podOn("b", "other", "on-b", usingAll("a")),
		},
		claims: []corev1.PersistentVolumeClaim{claim("team", "claim-a", "volume-a"), claim("team", "claim-b", "volume-b"), claim("other", "claim-a", "volume-other"),
			claim("team", "claim-thief", "volume-stolen")},
		volumes: []corev1.PersistentVolume{withSecret(volume("volume-a", "team", "claim-a"), "mount-a"), withSecret(volume("volume-b", "team", "claim-b"), "mount-b"),
			onNode(volume("volume-on-a", "other", "claim-a"), "a"), onNode(volume("volume-on-b", "", ""), "b"),
			volume("volume-other", "other", "claim-a"), volume("volume-free", "", ""), withSecret(volume("volume-stolen", "team", "claim-of-another"), "mount-stolen")},
	}
	a := New(m)
	for _, tt := range tests {
		t.Run(tt.request, func(t *testing.T) {
			r := request(t, tt.request)
			r.User = nodeUser("a")
			got, _, err := a.Authorize(t.Context(), r)
			if want := map[bool]authorizer.Decision{true: authorizer.DecisionAllow, false: authorizer.DecisionNoOpinion}[tt.want]; got != want || err != nil {
				t.Errorf("%v, %v", got, err)
			}
			// Whatever a node may do, its name alone makes nobody a node.
			r.User = &user.DefaultInfo{Name: config.NodeUserPrefix + "a"}
			if got, _, err := a.Authorize(t.Context(), r); got != authorizer.DecisionNoOpinion || err != nil {
				t.Errorf("without the group: %v, %v", got, err)
			}
		})
	}
}

// A certificate of a node without a name is no node's.
func TestANodeHasAName(t *testing.T) {
	for _, text := range []string{"create core/nodes - -", "get core/nodes - -", "create core/pods team -", "list core/services - -"} {
		r := request(t, text)
		r.User = nodeUser("")
		if got, why, err := New(&model{}).Authorize(t.Context(), r); got != authorizer.DecisionNoOpinion || !strings.Contains(why, "unknown node") || err != nil {
			t.Errorf("%s: %v, %q, %v", text, got, why, err)
		}
	}
}

func TestAuthorizeResourcesOnly(t *testing.T) {
	r := authorizer.AttributesRecord{User: nodeUser("a"), Verb: "get", Path: "/metrics", Resource: "nodes"}
	if got, why, err := New(&model{}).Authorize(t.Context(), r); got != authorizer.DecisionNoOpinion || why != "" || err != nil {
		t.Errorf("%v, %q, %v", got, why, err)
	}
}

// A list or watch of pods has to be restricted to those of the node.
func TestAuthorizePodLists(t *testing.T) {
	where := func(field string, op selection.Operator, value string) fields.Requirement {
		return fields.Requirement{Field: field, Operator: op, Value: value}
	}
	tests := []struct {
		name     string
		selector fields.Requirements
		err      error
		want     bool
	}{
		{"its own", fields.Requirements{where("spec.nodeName", selection.Equals, "a")}, nil, true},
		{"with two signs", fields.Requirements{where("spec.nodeName", selection.DoubleEquals, "a")}, nil, true},
		{"and more", fields.Requirements{where("status.phase", selection.Equals, "Running"), where("spec.nodeName", selection.Equals, "a")}, nil, true},
		{"all", nil, nil, false},
		{"another's", fields.Requirements{where("spec.nodeName", selection.Equals, "b")}, nil, false},
		{"all but its own", fields.Requirements{where("spec.nodeName", selection.NotEquals, "a")}, nil, false},
		{"of another field", fields.Requirements{where("metadata.name", selection.Equals, "a")}, nil, false},
		{"of a selector that cannot be read", fields.Requirements{where("spec.nodeName", selection.Equals, "a")}, errors.New("cannot be read"), false},
	}
	for _, tt := range tests {
		for _, verb := range []string{"list", "watch"} {
			t.Run(verb+" "+tt.name, func(t *testing.T) {
				for _, of := range []string{" core/pods - -", " certificates.k8s.io/podcertificaterequests - -"} {
					r := request(t, verb+of)
					r.User, r.FieldSelectorRequirements, r.FieldSelectorParsingErr = nodeUser("a"), tt.selector, tt.err
					got, _, err := New(&model{}).Authorize(t.Context(), r)
					if (got == authorizer.DecisionAllow) != tt.want || err != nil {
						t.Errorf("%s: %v, %v", of, got, err)
					}
				}
			})
		}
	}
	r := request(t, "deletecollection core/pods - -")
	r.User, r.FieldSelectorRequirements = nodeUser("a"), tests[0].selector
	if got, _, _ := New(&model{}).Authorize(t.Context(), r); got != authorizer.DecisionNoOpinion {
		t.Errorf("deletecollection: %v", got)
	}
}

// The cache is asked first, and a fresh read before anything is refused: it may lag
// behind a binding, and behind a deletion.
func TestAuthorizeBeyondTheCache(t *testing.T) {
	onA, onB, pending := podOn("a", "team", "p", usingAll("a")), podOn("b", "team", "p", usingAll("a")), podOn("", "team", "p", usingAll("a"))
	tests := []struct {
		name, request string
		model         model
		want          bool
		calls         []string
	}{
		{"a pod of the cache", "get core/pods team p", model{cached: []corev1.Pod{onA}}, true, []string{"pod team/p, fresh false"}},
		{"just bound", "get core/pods team p", model{cached: []corev1.Pod{pending}, fresh: []corev1.Pod{onA}}, true, []string{"pod team/p, fresh false", "pod team/p, fresh true"}},
		{"just made", "get core/pods team p", model{fresh: []corev1.Pod{onA}}, true, []string{"pod team/p, fresh false", "pod team/p, fresh true"}},
		{"just made on another", "get core/pods team p", model{fresh: []corev1.Pod{onB}}, false, []string{"pod team/p, fresh false", "pod team/p, fresh true"}},
		{"of another node", "get core/pods team p", model{cached: []corev1.Pod{onB}}, false, []string{"pod team/p, fresh false", "pod team/p, fresh true"}},
		{"gone", "delete core/pods team p", model{}, true, []string{"pod team/p, fresh false", "pod team/p, fresh true"}},
		{"gone, its status", "patch core/pods/status team p", model{}, true, []string{"pod team/p, fresh false", "pod team/p, fresh true"}},
		{"not asked for a verb it has not", "update core/pods team p", model{cached: []corev1.Pod{onA}}, false, nil},

		{"a secret of the cache", "get core/secrets team secret-a", model{cached: []corev1.Pod{onA}}, true, []string{"pods of a, fresh false"}},
		{"of a claim that is gone", "get core/secrets team s", model{cached: []corev1.Pod{onA}}, false,
			[]string{"pods of a, fresh false", "claim team/claim-a", "pods of a, fresh true", "claim team/claim-a"}},
		{"of a pod just bound", "get core/secrets team secret-a", model{fresh: []corev1.Pod{onA}}, true, []string{"pods of a, fresh false", "pods of a, fresh true"}},
		{"of a pod on another", "get core/secrets team secret-a", model{cached: []corev1.Pod{onB}}, false, []string{"pods of a, fresh false", "pods of a, fresh true"}},
		{"none is read for a write", "update core/secrets team secret-a", model{cached: []corev1.Pod{onA}}, false, nil},
		{"none is read for a list of all", "list core/secrets team -", model{cached: []corev1.Pod{onA}}, false, nil},

		{"a volume", "get core/persistentvolumes - v", model{cached: []corev1.Pod{onA}, volumes: []corev1.PersistentVolume{volume("v", "team", "claim-a")}}, true,
			[]string{"volume v", "pods of a, fresh false"}},
		{"of another's claim", "get core/persistentvolumes - v", model{cached: []corev1.Pod{onA}, volumes: []corev1.PersistentVolume{volume("v", "team", "claim-b")}}, false,
			[]string{"volume v", "pods of a, fresh false", "pods of a, fresh true"}},
		{"of another namespace's claim", "get core/persistentvolumes - v", model{cached: []corev1.Pod{onA}, volumes: []corev1.PersistentVolume{volume("v", "other", "claim-a")}}, false,
			[]string{"volume v", "pods of a, fresh false", "pods of a, fresh true"}},
		{"that is not bound", "get core/persistentvolumes - v", model{cached: []corev1.Pod{onA}, volumes: []corev1.PersistentVolume{volume("v", "", "")}}, false, []string{"volume v"}},
		{"that is gone", "get core/persistentvolumes - v", model{cached: []corev1.Pod{onA}}, false, []string{"volume v"}},
		{"a secret of a volume", "get core/secrets team s", model{cached: []corev1.Pod{onA}, claims: []corev1.PersistentVolumeClaim{claim("team", "claim-a", "v")},
			volumes: []corev1.PersistentVolume{withSecret(volume("v", "team", "claim-a"), "s")}}, true, []string{"pods of a, fresh false", "claim team/claim-a", "volume v"}},
		{"no list of volumes", "list core/persistentvolumes - v", model{cached: []corev1.Pod{onA}}, false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request(t, tt.request)
			r.User = nodeUser("a")
			got, _, err := New(&tt.model).Authorize(t.Context(), r)
			if (got == authorizer.DecisionAllow) != tt.want || err != nil {
				t.Errorf("%v, %v", got, err)
			}
			if strings.Join(tt.model.calls, "; ") != strings.Join(tt.calls, "; ") {
				t.Errorf("read %q", tt.model.calls)
			}
		})
	}
}

// A claim that is gone does not hide the others of the pod, nor a pod the others.
func TestAuthorizeVolumeOfALaterClaim(t *testing.T) {
	two := corev1.PodSpec{Volumes: []corev1.Volume{
		{Name: "x", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "gone"}}},
		{Name: "y", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}},
	}}
	m := &model{
		cached:  []corev1.Pod{podOn("a", "team", "none", corev1.PodSpec{}), podOn("a", "team", "p", two)},
		volumes: []corev1.PersistentVolume{volume("v", "team", "p-y")},
	}
	r := request(t, "get core/persistentvolumes - v")
	r.User = nodeUser("a")
	if got, _, err := New(m).Authorize(t.Context(), r); got != authorizer.DecisionAllow || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}

// Without its objects there is no decision, and the reader learns why.
func TestAuthorizeWithoutAnswers(t *testing.T) {
	away := errors.New("no answer")
	m := func() *model {
		return &model{
			cached: []corev1.Pod{podOn("a", "team", "p", usingAll("x"))},
			claims: []corev1.PersistentVolumeClaim{claim("team", "claim-x", "volume-x")},
		}
	}
	tests := []struct{ name, request, failing string }{
		{"the pod", "get core/pods team other", "pod team/other, fresh false"},
		{"the pod, read freshly", "get core/pods team other", "pod team/other, fresh true"},
		{"the pods", "get core/secrets team s", "pods of a, fresh false"},
		{"the pods, read freshly", "get core/secrets team s", "pods of a, fresh true"},
		{"a claim", "get core/secrets team s", "claim team/claim-x"},
		{"a claim's volume", "get core/secrets team s", "volume volume-x"},
		{"a volume", "get core/persistentvolumes - v", "volume v"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cluster := m()
			cluster.failing = func(call string) error {
				if call == tt.failing {
					return away
				}
				return nil
			}
			r := request(t, tt.request)
			r.User = nodeUser("a")
			got, why, err := New(cluster).Authorize(t.Context(), r)
			if got != authorizer.DecisionNoOpinion || !errors.Is(err, away) || !strings.Contains(why, "cannot be read") {
				t.Errorf("%v, %q, %v", got, why, err)
			}
		})
	}
}

// TestVolumesOfTheNode: a node lists and watches the cluster's own volumes that lie on it,
// and no others.
func TestVolumesOfTheNode(t *testing.T) {
	for selector, want := range map[string]bool{
		config.LocalVolumeNode + "=a":         true,
		config.LocalVolumeNode + "==a":        true,
		config.LocalVolumeNode + " in (a)":    true,
		config.LocalVolumeNode + "=a,x=y":     true,
		config.LocalVolumeNode + "=b":         false,
		config.LocalVolumeNode + " in (a, b)": false,
		config.LocalVolumeNode + "!=b":        false,
		config.LocalVolumeNode + " notin (a)": false,
		config.LocalVolumeNode:                false,
		"x=a":                                 false,
		"":                                    false,
	} {
		parsed, err := labels.Parse(selector)
		if err != nil {
			t.Fatal(err)
		}
		requirements, _ := parsed.Requirements()
		for _, verb := range []string{"list", "watch"} {
			r := request(t, verb+" core/persistentvolumes - -")
			r.User, r.LabelSelectorRequirements = nodeUser("a"), requirements
			got, _, err := New(&model{}).Authorize(t.Context(), r)
			if err != nil || (got == authorizer.DecisionAllow) != want {
				t.Errorf("%s %q: %v, %v", verb, selector, got, err)
			}
		}
	}
}
