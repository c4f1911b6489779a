package nodeauth

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/gantry-run/gantry/runtime/config"
)

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
