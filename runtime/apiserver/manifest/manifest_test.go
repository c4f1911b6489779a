package manifest

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

const whole = `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - {name: c, image: busybox, resources: {limits: {cpu: 1}}}
`

func TestAPodWithItsDefaults(t *testing.T) {
	for name, data := range map[string]string{
		"YAML": whole, "JSON": `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web"},"spec":{"containers":[{"name":"c","image":"busybox","resources":{"limits":{"cpu":1}}}]}}`,
		"with comments around": "# a comment\n---\n" + whole + "---\n# nothing\n",
		"with a status":        whole + "status: {phase: Failed}\n",
	} {
		p, err := NewReader().Pod([]byte(data), func(p *corev1.Pod) { p.Namespace, p.Name = "ns", p.Name+"-n" })
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		c := p.Spec.Containers[0]
		if p.Name != "web-n" || p.Namespace != "ns" || p.Spec.RestartPolicy != corev1.RestartPolicyAlways || *p.Spec.TerminationGracePeriodSeconds != 30 ||
			c.ImagePullPolicy != corev1.PullAlways || c.Resources.Requests.Cpu().Value() != 1 || c.TerminationMessagePath == "" || p.Status.Phase != "" {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	edit := func(old, now string) string { return strings.Replace(whole, old, now, 1) }
	for want, data := range map[string]string{
		"the file is empty":                             "# nothing\n---\n",
		"more than one object":                          whole + "---\n" + whole,
		`unknown field "hostnet"`:                       edit("spec:\n", "spec:\n  hostnet: true\n"),
		"it is a Pod of v2":                             edit("apiVersion: v1", "apiVersion: v2"),
		"it is a Service of v1":                         "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n",
		"name is needed":                                edit("{name: web}", "{}"),
		"metadata.name":                                 edit("{name: web}", "{name: Web}"),
		"metadata.labels":                               edit("{name: web}", "{name: web, labels: {a b: c}}"),
		"spec.containers: Required":                     edit("  containers:\n  - {name: c, image: busybox, resources: {limits: {cpu: 1}}}", "  containers: []"),
		"static pods may not reference serviceaccounts": edit("spec:\n", "spec:\n  serviceAccountName: a\n"),
		"static pods may not reference secrets":         edit("spec:\n", "spec:\n  imagePullSecrets: [{name: s}]\n"),
		"static pods may not reference configmaps (via configmap volumes)": edit("spec:\n", "spec:\n  volumes: [{name: v, configMap: {name: c}}]\n"),
	} {
		if p, err := NewReader().Pod([]byte(data), func(p *corev1.Pod) { p.Namespace = "ns" }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", want, p, err)
		}
	}
}
