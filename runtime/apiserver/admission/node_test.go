package admission

import (
	"context"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"sigs.k8s.io/yaml"
)

func TestNodesAndThemselves(t *testing.T) {
	p := &NodeRestriction{Objects: site{}, All: nothing}
	handled(t, p, admission.Create, admission.Update, admission.Delete)
	node := func(text string) *corev1.Node { return of(t, &corev1.Node{}, text) }
	const plain = "metadata: {name: a, labels: {x: y, kubernetes.io/hostname: a, node-role.kubernetes.io/worker: ''}, annotations: {gantry.run/host: h}}\nspec: {podCIDR: 10.0.0.0/24, podCIDRs: [10.0.0.0/24], taints: [{key: k, effect: NoSchedule}]}"
	old := node(plain)
	for name, tt := range map[string]struct{ obj, want string }{
		"itself":                   {"metadata: {name: a}", ""},
		"another":                  {"metadata: {name: b}", `node "a" is not allowed to modify node "b"`},
		"with taints":              {"metadata: {name: a}\nspec: {taints: [{key: k, effect: NoSchedule}]}", ""},
		"with a pod CIDR":          {"metadata: {name: a}\nspec: {podCIDR: 0.0.0.0/0}", "not allowed to set podCIDR"},
		"with pod CIDRs":           {"metadata: {name: a}\nspec: {podCIDRs: [0.0.0.0/0]}", "not allowed to set podCIDR"},
		"with an owner":            {"metadata: {name: a, ownerReferences: [{apiVersion: v1, kind: Namespace, name: n, uid: u}]}", "not allowed to modify ownerReferences"},
		"with a config source":     {"metadata: {name: a}\nspec: {configSource: {}}", "configSource"},
		"with kubelets' labels":    {"metadata: {name: a, labels: {kubernetes.io/hostname: a, kubernetes.io/os: linux, topology.kubernetes.io/zone: z, node.kubernetes.io/x: y, a.kubelet.kubernetes.io/x: y, beta.kubernetes.io/arch: amd64}}", ""},
		"with its own labels":      {"metadata: {name: a, labels: {x: y, example.com/x: y, notkubernetes.io/x: y}}", ""},
		"with a role":              {"metadata: {name: a, labels: {node-role.kubernetes.io/control-plane: ''}}", "modify labels: node-role.kubernetes.io/control-plane"},
		"with k8s.io labels":       {"metadata: {name: a, labels: {x.k8s.io/y: ''}}", "modify labels: x.k8s.io/y"},
		"with restricted labels":   {"metadata: {name: a, labels: {node-restriction.kubernetes.io/x: '', a.node-restriction.kubernetes.io/x: ''}}", "modify labels: a.node-restriction.kubernetes.io/x, node-restriction.kubernetes.io/x"},
		"with its own annotations": {"metadata: {name: a, annotations: {x: y, example.com/gantry.run: y}}", ""},
		"with an apply's":          {"metadata: {name: a, annotations: {gantry.run/host: h}}", "modify annotations: gantry.run/host"},
	} {
		verdict(t, p, "create "+name, write{resource: "nodes", obj: node(tt.obj)}, tt.want)
	}
	for name, tt := range map[string]struct{ from, to, want string }{
		"as it is":                  {"", "", ""},
		"another label":             {"x: y", "x: z", ""},
		"a label away":              {"x: y, ", "", ""},
		"its role away":             {", node-role.kubernetes.io/worker: ''", "", "modify labels: node-role.kubernetes.io/worker"},
		"its role changed":          {"worker: ''", "worker: w", "modify labels: node-role.kubernetes.io/worker"},
		"a role":                    {"{x: y", "{x: y, node-role.kubernetes.io/vault: ''", "modify labels: node-role.kubernetes.io/vault"},
		"a restricted label":        {"{x: y", "{x: y, node-restriction.kubernetes.io/z: ''", "modify labels: node-restriction.kubernetes.io/z"},
		"a taint away":              {", taints: [{key: k, effect: NoSchedule}]", "", "not allowed to modify taints"},
		"a taint":                   {"[{key", "[{key: l, effect: NoSchedule}, {key", "not allowed to modify taints"},
		"another pod CIDR":          {"podCIDR: 10.0.0.0/24", "podCIDR: 10.0.0.0/8", "not allowed to set podCIDR"},
		"more pod CIDRs":            {"[10.0.0.0/24]", "[10.0.0.0/24, 0.0.0.0/0]", "not allowed to set podCIDR"},
		"an owner":                  {"name: a,", "name: a, ownerReferences: [{apiVersion: v1, kind: Namespace, name: n, uid: u}],", "not allowed to modify ownerReferences"},
		"a config source":           {"spec: {", "spec: {configSource: {}, ", "configSource"},
		"unschedulable":             {"spec: {", "spec: {unschedulable: true, ", ""},
		"an annotation":             {"gantry.run/host: h", "gantry.run/host: h, volumes: v", ""},
		"where its host is":         {"gantry.run/host: h", "gantry.run/host: i", "modify annotations: gantry.run/host"},
		"another object of a name":  {"name: a,", "name: b,", `node "a" is not allowed to modify node "b"`},
		"a condition, in its place": {"spec: {", "status: {phase: Running}\nspec: {", ""},
	} {
		if !strings.Contains(plain, tt.from) {
			t.Fatalf("%s: %q is not there", name, tt.from)
		}
		obj := node(strings.Replace(plain, tt.from, tt.to, 1))
		for _, sub := range []string{"", "status"} {
			verdict(t, p, "update "+sub+" "+name, write{op: admission.Update, resource: "nodes", subresource: sub, obj: obj, old: old}, tt.want)
		}
	}
	verdict(t, p, "delete itself", write{op: admission.Delete, resource: "nodes", obj: old}, "not allowed to delete itself")
	verdict(t, p, "a node that is none", write{resource: "nodes", obj: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a"}}}, "unexpected type")
}

func TestNodesAndTheirOwnObjects(t *testing.T) {
	p := &NodeRestriction{Objects: site{}, All: nothing}
	lease := func(namespace, name string) *coordinationv1.Lease {
		return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	}
	csiNode := func(name string) *storagev1.CSINode {
		return &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	for _, op := range []admission.Operation{admission.Create, admission.Update, admission.Delete} {
		for what, tt := range map[string]struct {
			w    write
			want string
		}{
			"its lease":          {write{op: op, group: "coordination.k8s.io", resource: "leases", obj: lease("kube-node-lease", "a")}, ""},
			"another's":          {write{op: op, group: "coordination.k8s.io", resource: "leases", obj: lease("kube-node-lease", "b")}, "same name as the requesting node"},
			"a leader's":         {write{op: op, group: "coordination.k8s.io", resource: "leases", obj: lease("kube-system", "a")}, `in the "kube-node-lease" system namespace`},
			"its CSINode":        {write{op: op, group: "storage.k8s.io", resource: "csinodes", obj: csiNode("a")}, ""},
			"another's CSINode":  {write{op: op, group: "storage.k8s.io", resource: "csinodes", obj: csiNode("b")}, "same name as the requesting node"},
			"something else":     {write{op: op, group: "example.com", resource: "nodes", obj: csiNode("b")}, ""},
			"an event":           {write{op: op, resource: "events", obj: &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "e"}}}, ""},
			"an account, itself": {write{op: op, resource: "serviceaccounts", obj: &corev1.ServiceAccount{}}, ""},
		} {
			verdict(t, p, string(op)+" "+what, tt.w, tt.want)
		}
	}
	asks := func(signer string, request []byte) write {
		r := csrOf(signer)
		r.Spec.Request = request
		return write{group: "certificates.k8s.io", resource: "certificatesigningrequests", obj: r}
	}
	own, eve := requestFor(t, "system:node:a"), askedFor(t)
	verdict(t, p, "its certificate", asks(certificatesv1.KubeAPIServerClientKubeletSignerName, own), "")
	verdict(t, p, "its serving certificate", asks(certificatesv1.KubeletServingSignerName, own), "")
	verdict(t, p, "another's certificate", asks(certificatesv1.KubeAPIServerClientKubeletSignerName, eve), "can only create a node CSR with CN=system:node:a")
	verdict(t, p, "another's serving certificate", asks(certificatesv1.KubeletServingSignerName, eve), "can only create a node CSR")
	verdict(t, p, "no request", asks(certificatesv1.KubeletServingSignerName, []byte("x")), "unable to parse csr")
	verdict(t, p, "another signer's", asks("example.com/a", eve), "")
}

func TestNodesAndClaims(t *testing.T) {
	p := &NodeRestriction{Objects: site{}, All: nothing}
	const plain = "metadata: {namespace: team, name: c, labels: {x: y}, resourceVersion: '1'}\nspec: {volumeName: v}\nstatus: {phase: Bound, capacity: {storage: 1Gi}}"
	claim := func(text string) *corev1.PersistentVolumeClaim { return of(t, &corev1.PersistentVolumeClaim{}, text) }
	for name, tt := range map[string]struct{ from, to, want string }{
		"as it is":       {"", "", ""},
		"grown":          {"1Gi", "2Gi", ""},
		"a condition":    {"phase: Bound", "phase: Bound, conditions: [{type: Resizing, status: 'True'}], allocatedResources: {storage: 2Gi}, allocatedResourceStatuses: {storage: NodeResizeInProgress}", ""},
		"unconditional":  {", resourceVersion: '1'", "", ""},
		"another phase":  {"Bound", "Lost", "fields other than status.quantity and status.conditions"},
		"a label":        {"x: y", "x: z", "fields other than status.quantity"},
		"a finalizer":    {"name: c,", "name: c, finalizers: [a/b],", "fields other than status.quantity"},
		"another volume": {"volumeName: v", "volumeName: w", "fields other than status.quantity"},
	} {
		w := write{op: admission.Update, resource: "persistentvolumeclaims", subresource: "status", obj: claim(strings.Replace(plain, tt.from, tt.to, 1)), old: claim(plain)}
		verdict(t, p, name, w, tt.want)
	}
	verdict(t, p, "the claim itself", write{op: admission.Update, resource: "persistentvolumeclaims", obj: claim(plain), old: claim(plain)}, "may only update PVC status")
	verdict(t, p, "a new claim", write{resource: "persistentvolumeclaims", obj: claim(plain)}, "may only update PVC status")
}

func TestNodesAndTheirVolumes(t *testing.T) {
	p := &NodeRestriction{Objects: site{}, All: nothing}
	const plain = "metadata: {name: v, labels: {local.gantry.run/node: a}, annotations: {x: y}, finalizers: [local.gantry.run/data, e/f], resourceVersion: '1'}\nspec: {storageClassName: s}\nstatus: {phase: Released}"
	volume := func(text string) *corev1.PersistentVolume { return of(t, &corev1.PersistentVolume{}, text) }
	const not = "is not allowed to update fields other than annotation local.gantry.run/made and finalizer local.gantry.run/data"
	for name, tt := range map[string]struct{ old, from, to, want string }{
		"as it is":                 {plain, "", "", ""},
		"that it was made":         {plain, "{x: y}", "{x: y, local.gantry.run/made: now}", ""},
		"that it was made, again":  {strings.Replace(plain, "{x: y}", "{x: y, local.gantry.run/made: then}", 1), "then", "now", not},
		"that it was never made":   {strings.Replace(plain, "{x: y}", "{x: y, local.gantry.run/made: then}", 1), ", local.gantry.run/made: then", "", not},
		"another annotation":       {plain, "x: y", "x: z", not},
		"removed":                  {strings.Replace(plain, "name: v", "name: v, deletionTimestamp: '2026-01-01T00:00:00Z'", 1), "local.gantry.run/data, ", "", ""},
		"removed, and not deleted": {plain, "local.gantry.run/data, ", "", not},
		"another's finalizer":      {strings.Replace(plain, "name: v", "name: v, deletionTimestamp: '2026-01-01T00:00:00Z'", 1), ", e/f", "", not},
		"one more finalizer":       {plain, "e/f]", "e/f, g/h]", not},
		"a label":                  {plain, "node: a", "node: b", not},
		"what it is":               {plain, "storageClassName: s", "storageClassName: s2", not},
		"another node's":           {strings.Replace(plain, "node: a", "node: b", 1), "{x: y}", "{x: y, local.gantry.run/made: now}", "can only update persistent volumes with label local.gantry.run/node set to itself"},
		"nobody's":                 {strings.Replace(plain, "local.gantry.run/node: a", "x: a", 1), "", "", "with label local.gantry.run/node set to itself"},
	} {
		verdict(t, p, name, write{op: admission.Update, resource: "persistentvolumes", obj: volume(strings.Replace(tt.old, tt.from, tt.to, 1)), old: volume(tt.old)}, tt.want)
	}
	verdict(t, p, "its status", write{op: admission.Update, resource: "persistentvolumes", subresource: "status", obj: volume(plain), old: volume(plain)}, "can only update persistent volumes")
	verdict(t, p, "a new one", write{resource: "persistentvolumes", obj: volume(plain)}, "can only update persistent volumes")
}

func TestStorageObjectsAreProtected(t *testing.T) {
	for name, tt := range map[string]struct {
		obj  metav1.Object
		want []string
	}{
		"a claim":         {&corev1.PersistentVolumeClaim{}, []string{"kubernetes.io/pvc-protection"}},
		"a volume":        {&corev1.PersistentVolume{}, []string{"kubernetes.io/pv-protection"}},
		"a class":         {&storagev1.VolumeAttributesClass{}, []string{"kubernetes.io/vac-protection"}},
		"one with others": {&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Finalizers: []string{"a/b"}}}, []string{"a/b", "kubernetes.io/pv-protection"}},
		"one that has it": {&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Finalizers: []string{"kubernetes.io/pvc-protection"}}}, []string{"kubernetes.io/pvc-protection"}},
		"something else":  {&corev1.Pod{}, nil},
	} {
		a := write{resource: "things", obj: tt.obj.(runtime.Object)}.attributes(t)
		if err := (StorageObjectInUseProtection{}).Admit(t.Context(), a, nil); err != nil || !slices.Equal(tt.obj.GetFinalizers(), tt.want) {
			t.Errorf("%s: %v, %v", name, tt.obj.GetFinalizers(), err)
		}
	}
	if p := (StorageObjectInUseProtection{}); !p.Handles(admission.Create) || p.Handles(admission.Update) {
		t.Error("it looks at others than new objects")
	}
}

func TestNodesAndTokens(t *testing.T) {
	pods := corev1.PodList{}
	if err := yaml.UnmarshalStrict([]byte(`items:
- {metadata: {namespace: team, name: mine, uid: u}, spec: {nodeName: a, serviceAccountName: bot, volumes: [{name: t, projected: {sources: [{downwardAPI: {}}, {serviceAccountToken: {path: x, audience: vault}}, {serviceAccountToken: {path: yy}}]}}]}}
- {metadata: {namespace: team, name: other, uid: u}, spec: {nodeName: b}}
- {metadata: {namespace: team, name: inline, uid: u}, spec: {nodeName: a, volumes: [{name: v, csi: {driver: wants-s3}}]}}
- {metadata: {namespace: team, name: claimed, uid: u}, spec: {nodeName: a, volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]}}
- {metadata: {namespace: team, name: ephemeral, uid: u}, spec: {nodeName: a, volumes: [{name: v, ephemeral: {volumeClaimTemplate: {spec: {}}}}]}}
- {metadata: {namespace: team, name: plain, uid: u}, spec: {nodeName: a, volumes: [{name: v, persistentVolumeClaim: {claimName: local}}]}}
- {metadata: {namespace: team, name: broken, uid: u}, spec: {nodeName: a, volumes: [{name: v, persistentVolumeClaim: {claimName: away}}, {name: t, projected: {sources: [{serviceAccountToken: {path: x, audience: vault}}]}}]}}
`), &pods); err != nil {
		t.Fatal(err)
	}
	s := site{
		pods: pods.Items, claims: map[string]string{"team/c": "pv", "team/ephemeral-v": "pv", "team/local": "disk"},
		volumes: map[string]string{"pv": "wants-s3", "disk": ""}, drivers: map[string]string{"wants-s3": "s3"},
	}
	var asked []string
	p := &NodeRestriction{Objects: s, All: authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		asked = append(asked, strings.Join([]string{a.GetVerb(), a.GetResource(), a.GetNamespace(), a.GetName()}, " "))
		switch a.GetResource() {
		case "granted":
			return authorizer.DecisionAllow, "", nil
		case "away":
			return authorizer.DecisionNoOpinion, "", errAway
		}
		return authorizer.DecisionNoOpinion, "", nil
	})}
	for name, tt := range map[string]struct {
		pod, change string // of the reference
		audiences   []string
		want        string
	}{
		"by default":                  {"mine", "", nil, ""},
		"for what a volume names":     {"mine", "", []string{"vault"}, ""},
		"for something else":          {"mine", "", []string{"other"}, `system:node:a is not authorized to request tokens for audience "other"`},
		"for what RBAC grants":        {"mine", "", []string{"granted"}, ""},
		"without an answer":           {"mine", "", []string{"away"}, errAway.Error()},
		"for two":                     {"mine", "", []string{"vault", "vault"}, "may only request 0 or 1 audiences"},
		"by default, not projected":   {"inline", "", nil, "is not authorized to request tokens"},
		"for a CSI driver":            {"inline", "", []string{"s3"}, ""},
		"for a claim's driver":        {"claimed", "", []string{"s3"}, ""},
		"for an ephemeral's driver":   {"ephemeral", "", []string{"s3"}, ""},
		"for a driver that wants not": {"claimed", "", []string{"vault"}, "is not authorized"},
		"for a volume of no driver":   {"plain", "", []string{"s3"}, "is not authorized"},
		"a volume that is not read":   {"broken", "", []string{"s3"}, `error validating audience "s3"`},
		"for the volume behind it":    {"broken", "", []string{"vault"}, ""},
		"of another's pod":            {"other", "", nil, "bound to a pod scheduled on a different node"},
		"of a pod that is gone":       {"gone", "", nil, "not found"},
		"of a pod that is not read":   {"away", "", nil, errAway.Error()},
		"unbound":                     {"", "none", nil, "not bound to a pod"},
		"bound to a secret":           {"mine", "Secret", nil, "not bound to a pod"},
		"bound to a node":             {"mine", "Node", nil, "not bound to a pod"},
		"of another version":          {"mine", "v2", nil, "not bound to a pod"},
		"without a name":              {"", "", nil, "not bound to a pod"},
		"without a UID":               {"mine", "no uid", nil, "without a uid"},
		"of a pod before":             {"mine", "uid", nil, "does not match the UID in record"},
	} {
		ref := &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: tt.pod, UID: "u"}
		switch tt.change {
		case "none":
			ref = nil
		case "Secret", "Node":
			ref.Kind = tt.change
		case "v2":
			ref.APIVersion = "v2"
		case "no uid":
			ref.UID = ""
		case "uid":
			ref.UID = "x"
		}
		r := &authenticationv1.TokenRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "bot"}, Spec: authenticationv1.TokenRequestSpec{Audiences: tt.audiences, BoundObjectRef: ref}}
		verdict(t, p, name, write{resource: "serviceaccounts", subresource: "token", obj: r}, tt.want)
	}
	for _, a := range asked {
		if !strings.HasPrefix(a, "request-serviceaccounts-token-audience ") || !strings.HasSuffix(a, " team bot") {
			t.Errorf("asked %s", a)
		}
	}
}

func TestNodesAndPodCertificates(t *testing.T) {
	pods := corev1.PodList{}
	if err := yaml.UnmarshalStrict([]byte(`items:
- {metadata: {namespace: team, name: mine, uid: u}, spec: {nodeName: a, serviceAccountName: bot, volumes: [{name: w, emptyDir: {}}, {name: v, projected: {sources: [{downwardAPI: {}}, {podCertificate: {signerName: a.b/c, keyType: k}}]}}]}}
- {metadata: {namespace: team, name: other, uid: u}, spec: {nodeName: b, serviceAccountName: bot}}
- {metadata: {namespace: team, name: mirror, uid: u, annotations: {kubernetes.io/config.mirror: x}}, spec: {nodeName: a, serviceAccountName: bot}}
`), &pods); err != nil {
		t.Fatal(err)
	}
	p := &NodeRestriction{Objects: site{pods: pods.Items}, All: authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		if a.GetVerb() == "request-serviceaccounts-podcertificate-signer" && a.GetResource() == "granted.io:x" && a.GetName() == "bot" && a.GetNamespace() == "team" {
			return authorizer.DecisionAllow, "", nil
		}
		return authorizer.DecisionNoOpinion, "", nil
	})}
	const plain = "metadata: {namespace: team, name: r}\nspec: {signerName: a.b/c, podName: mine, podUID: u, serviceAccountName: bot, serviceAccountUID: account-uid, nodeName: a, nodeUID: a-uid, stubPKCS10Request: YQ==}"
	for name, tt := range map[string]struct{ from, to, want string }{
		"its pod's":         {"", "", ""},
		"as another node":   {"nodeName: a", "nodeName: b", "which is not the requesting node"},
		"a node before":     {"a-uid", "x", "inconsistent with the running node"},
		"no pod":            {"podName: mine", "podName: gone", "not found"},
		"a pod not read":    {"podName: mine", "podName: away", errAway.Error()},
		"a pod before":      {"podUID: u", "podUID: x", "differs from running pod"},
		"another's pod":     {"podName: mine", "podName: other", "is not running on node"},
		"a mirror pod's":    {"podName: mine", "podName: mirror", "is a mirror pod"},
		"another account":   {"serviceAccountName: bot", "serviceAccountName: root", "that differs from running pod"},
		"an account before": {"account-uid", "x", "differs from the running service account"},
		"another signer":    {"a.b/c", "a.b/d", "does not mount a podCertificate projected volume for signer"},
		"a granted signer":  {"a.b/c", "granted.io/x", ""},
	} {
		r := of(t, &certificatesv1.PodCertificateRequest{}, strings.Replace(plain, tt.from, tt.to, 1))
		verdict(t, p, name, write{group: "certificates.k8s.io", resource: "podcertificaterequests", obj: r}, tt.want)
	}
	r := of(t, &certificatesv1.PodCertificateRequest{}, plain)
	verdict(t, p, "an update", write{op: admission.Update, group: "certificates.k8s.io", resource: "podcertificaterequests", obj: r, old: r}, "unexpected operation")
	verdict(t, p, "its status", write{group: "certificates.k8s.io", resource: "podcertificaterequests", subresource: "status", obj: r}, "unexpected subresource")
}
