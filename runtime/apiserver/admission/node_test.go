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
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"sigs.k8s.io/yaml"
)

// site is a cluster as nodes' writes are compared with it. What is not in it is not
// found; objects named "away" cannot be read.
type site struct {
	pods    []corev1.Pod
	claims  map[string]string // namespace/name → volume
	volumes map[string]string // name → CSI driver, "" for another kind
	drivers map[string]string // name → audience
}

func absent[T any](name string, found T, ok bool) (T, error) {
	var none T
	switch {
	case name == "away":
		return none, errAway
	case !ok:
		return none, apierrors.NewNotFound(corev1.Resource("things"), name)
	}
	return found, nil
}

func (s site) Pod(_ context.Context, namespace, name string) (*corev1.Pod, error) {
	for i := range s.pods {
		if p := &s.pods[i]; p.Namespace == namespace && p.Name == name {
			return p, nil
		}
	}
	return absent[*corev1.Pod](name, nil, false)
}

func (s site) Node(_ context.Context, name string) (*corev1.Node, error) {
	return absent(name, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name + "-uid")}}, name == "a" || name == "b")
}

func (s site) Account(_ context.Context, _, name string) (*corev1.ServiceAccount, error) {
	return absent(name, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "account-uid"}}, name == "bot")
}

func (s site) Claim(_ context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error) {
	v, ok := s.claims[namespace+"/"+name]
	return absent(name, &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{VolumeName: v}}, ok)
}

func (s site) Volume(_ context.Context, name string) (*corev1.PersistentVolume, error) {
	driver, ok := s.volumes[name]
	v := &corev1.PersistentVolume{}
	if driver != "" {
		v.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: driver}
	}
	return absent(name, v, ok)
}

func (s site) Driver(_ context.Context, name string) (*storagev1.CSIDriver, error) {
	audience, ok := s.drivers[name]
	return absent(name, &storagev1.CSIDriver{Spec: storagev1.CSIDriverSpec{TokenRequests: []storagev1.TokenRequest{{Audience: audience}}}}, ok)
}

// of reads an object from YAML.
func of[T runtime.Object](t *testing.T, obj T, text string) T {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), obj); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return obj
}

// nothing allows nothing.
var nothing = authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
	return authorizer.DecisionNoOpinion, "", nil
})

func kubelet(name string) user.Info {
	return &user.DefaultInfo{Name: "system:node:" + name, Groups: []string{"system:nodes"}}
}

// verdict compares what a node's request is answered with, and that nobody else is
// held to it.
func verdict(t *testing.T, p *NodeRestriction, name string, w write, want string) {
	t.Helper()
	w.user = kubelet("a")
	err := p.Validate(t.Context(), w.attributes(t), nil)
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want %q", name, err, want)
	}
	w.user = &user.DefaultInfo{Name: "system:node:a", Groups: []string{"system:authenticated"}}
	if err := p.Validate(t.Context(), w.attributes(t), nil); err != nil {
		t.Errorf("%s, by somebody: %v", name, err)
	}
	w.user = kubelet("")
	if p.Validate(t.Context(), w.attributes(t), nil) == nil && want != "" {
		t.Errorf("%s: allowed to a node without a name", name)
	}
}

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

func TestNodesAndPods(t *testing.T) {
	on := func(name, node string) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}, Spec: corev1.PodSpec{NodeName: node}}
	}
	p := &NodeRestriction{Objects: site{pods: []corev1.Pod{on("mine", "a"), on("other", "b"), on("pending", "")}}, All: nothing}
	named := func(name string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}}
	}
	eviction := func(name string) *policyv1.Eviction {
		return &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}}
	}
	for name, tt := range map[string]struct{ del, evict string }{
		"mine":    {"", ""},
		"other":   {"can only delete pods with spec.nodeName set to itself", "can only evict pods with spec.nodeName set to itself"},
		"pending": {"can only delete pods", "can only evict pods"},
		"gone":    {"not found", "not found"},
		"away":    {errAway.Error(), errAway.Error()},
	} {
		verdict(t, p, "delete "+name, write{op: admission.Delete, resource: "pods", obj: named(name)}, tt.del)
		verdict(t, p, "evict "+name, write{resource: "pods", subresource: "eviction", obj: eviction(name)}, tt.evict)
	}
	verdict(t, p, "evict nobody", write{resource: "pods", subresource: "eviction", obj: eviction("")}, "could not determine pod")
	verdict(t, p, "update a pod", write{op: admission.Update, resource: "pods", obj: named("mine"), old: named("mine")}, "can only create and delete mirror pods")
	for _, sub := range []string{"ephemeralcontainers", "binding", "resize"} {
		verdict(t, p, sub, write{op: admission.Update, resource: "pods", subresource: sub, obj: named("mine"), old: named("mine")}, "unexpected pod subresource")
	}

	const running = "metadata: {namespace: team, name: mine, labels: {app: x}}\nspec: {nodeName: a}\nstatus: {phase: Running}"
	for name, tt := range map[string]struct{ from, to, want string }{
		"ended":             {"Running", "Failed", ""},
		"an address":        {"phase: Running", "phase: Running, podIP: 10.0.0.1", ""},
		"an annotation":     {"labels:", "annotations: {a: b}, labels:", ""},
		"a label":           {"app: x", "app: y", "cannot update labels through pod status"},
		"a label more":      {"app: x", "app: x, b: c", "cannot update labels through pod status"},
		"a claim":           {"phase: Running", "phase: Running, resourceClaimStatuses: [{name: n}]", "cannot update resource claim"},
		"an extended claim": {"phase: Running", "phase: Running, extendedResourceClaimStatus: {resourceClaimName: n, requestMappings: []}", "cannot update extended resource claim"},
		"a node's claim":    {"phase: Running", "phase: Running, nodeAllocatableResourceClaimStatuses: [{resourceClaimName: n}]", "cannot update node allocatable resource claim"},
	} {
		now, old := of(t, &corev1.Pod{}, strings.Replace(running, tt.from, tt.to, 1)), of(t, &corev1.Pod{}, running)
		verdict(t, p, "status: "+name, write{op: admission.Update, resource: "pods", subresource: "status", obj: now, old: old}, tt.want)
	}
	other := of(t, &corev1.Pod{}, strings.Replace(running, "nodeName: a", "nodeName: b", 1))
	verdict(t, p, "status of another's pod", write{op: admission.Update, resource: "pods", subresource: "status", obj: other, old: other}, "for pods with spec.nodeName set to itself")
}

func TestMirrorPods(t *testing.T) {
	p := &NodeRestriction{Objects: site{}, All: nothing}
	const plain = "metadata: {namespace: team, name: m, annotations: {kubernetes.io/config.mirror: x}, ownerReferences: [{apiVersion: v1, kind: Node, name: a, uid: a-uid, controller: true}]}\nspec: {nodeName: a, containers: [{name: c}]}"
	spec := func(more string) [2]string { return [2]string{"nodeName: a", "nodeName: a, " + more} }
	volume := func(source string) [2]string { return spec("volumes: [{name: v, " + source + "}]") }
	for name, tt := range map[string]struct {
		change [2]string
		want   string
	}{
		"one":                     {[2]string{"", ""}, ""},
		"no mirror":               {[2]string{"kubernetes.io/config.mirror", "x"}, "can only create mirror pods"},
		"of another node":         {[2]string{"nodeName: a", "nodeName: b"}, "with spec.nodeName set to itself"},
		"of no node":              {[2]string{"nodeName: a, ", ""}, "with spec.nodeName set to itself"},
		"two owners":              {[2]string{"[{apiVersion", "[{apiVersion: v1, kind: Node, name: a, uid: a-uid}, {apiVersion"}, "a single owner reference"},
		"no owner":                {[2]string{"[{apiVersion: v1, kind: Node, name: a, uid: a-uid, controller: true}]", "[]"}, "a single owner reference"},
		"another owner":           {[2]string{"kind: Node, name: a", "kind: Node, name: b"}, "an owner reference set to itself"},
		"another kind":            {[2]string{"kind: Node", "kind: Pod"}, "an owner reference set to itself"},
		"another version":         {[2]string{"apiVersion: v1", "apiVersion: v2"}, "an owner reference set to itself"},
		"no controller":           {[2]string{", controller: true", ""}, "a controller owner reference"},
		"a controller not":        {[2]string{"controller: true", "controller: false"}, "a controller owner reference"},
		"a blocking owner":        {[2]string{"controller: true", "controller: true, blockOwnerDeletion: true"}, "must not set blockOwnerDeletion"},
		"an owner before":         {[2]string{"uid: a-uid", "uid: x"}, "UID mismatch"},
		"an account":              {spec("serviceAccountName: s"), "reference serviceaccounts"},
		"pull secrets":            {spec("imagePullSecrets: [{name: s}]"), "reference secrets"},
		"a secret's key":          {[2]string{"{name: c}", "{name: c, env: [{name: x, valueFrom: {secretKeyRef: {name: s, key: k}}}]}"}, "reference secrets"},
		"config":                  {[2]string{"{name: c}", "{name: c, envFrom: [{configMapRef: {name: s}}]}"}, "reference configmaps"},
		"resource claims":         {spec("resourceClaims: [{name: r}]"), "reference resourceclaims"},
		"a secret volume":         {volume("secret: {secretName: s}"), "reference secrets (via secret volumes)"},
		"a config map volume":     {volume("configMap: {name: s}"), "reference configmaps (via configmap volumes)"},
		"a CSI volume":            {volume("csi: {driver: d}"), "reference csidrivers"},
		"a claim":                 {volume("persistentVolumeClaim: {claimName: c}"), "reference persistentvolumeclaims"},
		"an ephemeral claim":      {volume("ephemeral: {}"), "reference persistentvolumeclaims (via ephemeral volumes)"},
		"GlusterFS":               {volume("glusterfs: {endpoints: e, path: p}"), "reference endpoints"},
		"Azure file":              {volume("azureFile: {secretName: s, shareName: x}"), "reference secrets (via azureFile volumes)"},
		"a volume of no type":     {spec("volumes: [{name: v}]"), "unknown volume type"},
		"host, empty, image":      {spec("volumes: [{name: v, hostPath: {path: /}}, {name: w, emptyDir: {}}, {name: x, image: {reference: i}}]"), ""},
		"a projected field":       {volume("projected: {sources: [{downwardAPI: {}}]}"), ""},
		"a projected secret":      {volume("projected: {sources: [{downwardAPI: {}}, {secret: {name: s}}]}"), "secrets (via projected volumes)"},
		"a projected map":         {volume("projected: {sources: [{configMap: {name: s}}]}"), "configmaps (via projected volumes)"},
		"a projected token":       {volume("projected: {sources: [{serviceAccountToken: {path: p}}]}"), "serviceaccounts (via projected volumes)"},
		"projected trust":         {volume("projected: {sources: [{clusterTrustBundle: {path: p}}]}"), "reference clustertrustbundles"},
		"a projected certificate": {volume("projected: {sources: [{podCertificate: {signerName: a.b/c, keyType: k}}]}"), "reference podcertificates"},
		"a projection of nothing": {volume("projected: {sources: [{}]}"), "unknown source for projected volume"},
	} {
		if !strings.Contains(plain, tt.change[0]) {
			t.Fatalf("%s: %q is not there", name, tt.change[0])
		}
		verdict(t, p, name, write{resource: "pods", obj: of(t, &corev1.Pod{}, strings.Replace(plain, tt.change[0], tt.change[1], 1))}, tt.want)
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
