package admission

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
)

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
