package core

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

const (
	appArmorOfC = "container.apparmor.security.beta.kubernetes.io/c"
	appArmorPod = "apiVersion: v1\nkind: Pod\nmetadata: {annotations: {" + appArmorOfC + ": ASKED}}\n" +
		"spec: {nodeName: n, POD containers: [{name: c, OWN image: i}]}\nstatus: {qosClass: BestEffort}\n"
)

func appArmorManifest(asked, ofPod, own string) string {
	return strings.NewReplacer("ASKED", asked, "POD", ofPod, "OWN", own).Replace(appArmorPod)
}

// TestAppArmorAnnotations: an annotation is a profile of a container that is there, and
// says what the field says.
func TestAppArmorAnnotations(t *testing.T) {
	const ofPod, own = "securityContext: {appArmorProfile: {type: RuntimeDefault}},", "securityContext: {appArmorProfile: {type: Localhost, localhostProfile: mine}},"
	valid := appArmorManifest("runtime/default", "", "")
	c := func(name, asked, ofPod, own, want string) kindtest.Case {
		return kindtest.Change(name, valid, valid, appArmorManifest(asked, ofPod, own), want)
	}
	const wrongType = "spec.containers[0].securityContext.appArmorProfile.type: Forbidden: apparmor type in annotation and field must match"
	cases := []kindtest.Case{
		c("the default", "runtime/default", "", "", ""),
		c("none", "unconfined", "", "", ""),
		c("one of the node", "localhost/mine", "", "", ""),
		c("nothing", "''", "", "", ""),
		c("of no kind", "mine", "", "", `metadata.annotations[`+appArmorOfC+`]: Invalid value: "mine": invalid AppArmor profile name: "mine"`),
		c("as the container", "localhost/mine", ofPod, own, ""),
		c("another name than the container", "localhost/other", ofPod, own, "appArmorProfile.localhostProfile: Forbidden: apparmor profile in annotation and field must match"),
		c("another type than the container", "unconfined", ofPod, own, wrongType),
		c("as the pod", "runtime/default", ofPod, "", ""),
		c("the container's own beside the pod's", "unconfined", ofPod, "", ""),
		c("nothing beside a field", "''", "", own, wrongType),
		c("the path of a program", "''", "", "securityContext: {appArmorProfile: {type: Localhost, localhostProfile: /usr/bin/../x}},", wrongType),
		kindtest.Change("such a field", valid, valid, strings.Replace(appArmorManifest("x", "", "securityContext: {appArmorProfile: {type: Localhost, localhostProfile: /usr/bin/x}},"), appArmorOfC+": x", "a: b", 1), ""),
		kindtest.Change("a field without a type", valid, "image: i", "image: i, securityContext: {appArmorProfile: {}}", "type is required when appArmorProfile is set"),
		kindtest.Change("a field without a name", valid, "image: i", "image: i, securityContext: {appArmorProfile: {type: Localhost}}", "localhostProfile: Required value: must be set when AppArmor type is Localhost"),
		kindtest.Change("a name with a space", valid, "image: i", "image: i, securityContext: {appArmorProfile: {type: Localhost, localhostProfile: ' x'}}", "must not be padded with whitespace"),
		kindtest.Change("too long a name", valid, "image: i", "image: i, securityContext: {appArmorProfile: {type: Localhost, localhostProfile: "+strings.Repeat("x", 4096)+"}}", "localhostProfile: Too long: may not be more than 4095 bytes"),
		kindtest.Change("a name of the default", valid, "image: i", "image: i, securityContext: {appArmorProfile: {type: RuntimeDefault, localhostProfile: x}}", "can only be set when AppArmor type is Localhost"),
		kindtest.Change("of no container", appArmorManifest("unconfined", "", ""), "kubernetes.io/c", "kubernetes.io/d", "Invalid value: \"d\": container not found"),
	}
	kindtest.Create(t, Kinds(), cases)
}

// TestAppArmorStays: whoever may annotate a pod does not take its confinement away.
func TestAppArmorStays(t *testing.T) {
	plain := strings.Replace(appArmorManifest("x", "", ""), appArmorOfC+": x", "a: b", 1)
	pod := appArmorManifest("runtime/default", "", "")
	const path = `metadata.annotations[` + appArmorOfC + `]: Forbidden: may not `
	cases := []kindtest.Case{
		kindtest.Change("taken away", pod, appArmorOfC+": runtime/default", "", path+"remove or update AppArmor annotations"),
		kindtest.Change("made another", pod, "runtime/default", "unconfined", path+"remove or update AppArmor annotations"),
		kindtest.Change("added", plain, "a: b", appArmorOfC+": unconfined", path+"add AppArmor annotations"),
		kindtest.Change("another annotation", pod, appArmorOfC, "a: b, "+appArmorOfC, ""),
	}
	kindtest.Update(t, Kinds(), cases)
	kindtest.UpdateStatus(t, Kinds(), cases)
}

func TestAppArmorAnnotationsBecomeFields(t *testing.T) {
	const ofPod, own = "securityContext: {appArmorProfile: {type: RuntimeDefault}},", "securityContext: {appArmorProfile: {type: Unconfined}},"
	for _, tt := range []struct {
		name, asked, ofPod, own string
		field                   string // of the container: type/profile
		warned                  bool
	}{
		{"the default", "runtime/default", "", "", "RuntimeDefault/", true},
		{"none", "unconfined", ofPod, "", "Unconfined/", true},
		{"one of the node", "localhost/mine", "", "", "Localhost/mine", true},
		{"as the pod", "runtime/default", ofPod, "", "", false},
		{"the container has one", "localhost/mine", "", own, "Unconfined/", true},
		{"no name", "localhost/", "", "", "", true},
		{"out of the node's profiles", "localhost/" + strings.Repeat("x", 4096), "", "", "", true},
		{"nothing", "''", "", "", "", true},
	} {
		p := &corev1.Pod{}
		if err := yaml.UnmarshalStrict([]byte(appArmorManifest(tt.asked, tt.ofPod, tt.own)), p); err != nil {
			t.Fatal(err)
		}
		preparePod(p)
		got := ""
		if sc := p.Spec.Containers[0].SecurityContext; sc != nil && sc.AppArmorProfile != nil {
			got = string(sc.AppArmorProfile.Type) + "/"
			if sc.AppArmorProfile.LocalhostProfile != nil {
				got += *sc.AppArmorProfile.LocalhostProfile
			}
		}
		if got != tt.field {
			t.Errorf("%s: the field is %q, want %q", tt.name, got, tt.field)
		}
		want := []string(nil)
		if tt.warned {
			want = []string{`metadata.annotations[` + appArmorOfC + `]: deprecated since v1.30; use the "appArmorProfile" field instead`}
		}
		if said := appArmorWarnings(p.Annotations, &p.Spec, nil); !slices.Equal(said, want) {
			t.Errorf("%s: warned %q, want %q", tt.name, said, want)
		}
	}
	for own, want := range map[string]int{"": 1, own: 0} {
		tmpl := &corev1.Pod{}
		if err := yaml.UnmarshalStrict([]byte(appArmorManifest("unconfined", "", own)), tmpl); err != nil {
			t.Fatal(err)
		}
		if said := appArmorWarnings(tmpl.Annotations, &tmpl.Spec, field.NewPath("template")); len(said) != want {
			t.Errorf("a template with %q: warned %q", own, said)
		}
	}
}
