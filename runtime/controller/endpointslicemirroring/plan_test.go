package endpointslicemirroring

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func custom(subsets ...corev1.EndpointSubset) *corev1.Endpoints {
	return &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{
			Name: "web", Namespace: "d", UID: "e", Labels: map[string]string{"team": "x"},
			Annotations: map[string]string{"note": "n", corev1.EndpointsLastChangeTriggerTime: "t", corev1.LastAppliedConfigAnnotation: "{}"},
		},
		Subsets: subsets,
	}
}

func addresses(ips ...string) (out []corev1.EndpointAddress) {
	for _, ip := range ips {
		out = append(out, corev1.EndpointAddress{IP: ip})
	}
	return out
}

func tcp(number int32) []corev1.EndpointPort {
	return []corev1.EndpointPort{{Name: "p", Port: number, Protocol: corev1.ProtocolTCP}}
}

// text is what a slice says.
func text(s *discoveryv1.EndpointSlice) string {
	out := string(s.AddressType)
	for _, p := range s.Ports {
		out += fmt.Sprintf(" %s:%d/%s", *p.Name, *p.Port, *p.Protocol)
	}
	for _, e := range s.Endpoints {
		mark := "-"
		if *e.Conditions.Ready {
			mark = "+"
		}
		out += " " + mark + e.Addresses[0]
	}
	return out
}

func texts(list []*discoveryv1.EndpointSlice) (out []string) {
	for _, s := range list {
		out = append(out, s.Name+"|"+text(s))
	}
	return out
}

func TestMirrors(t *testing.T) {
	for what, tt := range map[string]struct {
		subsets []corev1.EndpointSubset
		want    []string
		invalid int
	}{
		"nothing":        {nil, nil, 0},
		"one address":    {[]corev1.EndpointSubset{{Addresses: addresses("10.0.0.1"), Ports: tcp(80)}}, []string{"|IPv4 p:80/TCP +10.0.0.1"}, 0},
		"ready and not":  {[]corev1.EndpointSubset{{Addresses: addresses("10.0.0.2"), NotReadyAddresses: addresses("10.0.0.1"), Ports: tcp(80)}}, []string{"|IPv4 p:80/TCP +10.0.0.2 -10.0.0.1"}, 0},
		"no ports":       {[]corev1.EndpointSubset{{Addresses: addresses("10.0.0.1")}}, []string{"|IPv4 +10.0.0.1"}, 0},
		"two families":   {[]corev1.EndpointSubset{{Addresses: addresses("10.0.0.1", "fd00:0::1"), Ports: tcp(80)}}, []string{"|IPv4 p:80/TCP +10.0.0.1", "|IPv6 p:80/TCP +fd00::1"}, 0},
		"two ports":      {[]corev1.EndpointSubset{{Addresses: addresses("10.0.0.1"), Ports: tcp(80)}, {Addresses: addresses("10.0.0.2"), Ports: tcp(81)}}, []string{"|IPv4 p:80/TCP +10.0.0.1", "|IPv4 p:81/TCP +10.0.0.2"}, 0},
		"said twice":     {[]corev1.EndpointSubset{{Addresses: addresses("10.0.0.1"), Ports: tcp(80)}, {Addresses: addresses("10.0.0.1"), Ports: tcp(80)}}, []string{"|IPv4 p:80/TCP +10.0.0.1"}, 0},
		"not an address": {[]corev1.EndpointSubset{{Addresses: addresses("10.0.0.1", "x"), NotReadyAddresses: addresses("y"), Ports: tcp(80)}}, []string{"|IPv4 p:80/TCP +10.0.0.1"}, 2},
	} {
		c := plan(custom(tt.subsets...), nil)
		if got := texts(c.create); fmt.Sprint(got) != fmt.Sprint(tt.want) || c.invalid != tt.invalid || c.skipped != 0 || len(c.update)+len(c.delete) != 0 {
			t.Errorf("%s: %q, %d invalid, %d skipped", what, got, c.invalid, c.skipped)
		}
	}
}

func TestASliceTakesWhatItMirrors(t *testing.T) {
	e := custom(corev1.EndpointSubset{Ports: tcp(80), Addresses: []corev1.EndpointAddress{{
		IP: "10.0.0.1", Hostname: "h", NodeName: ptr.To("n"), TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: "p"},
	}}})
	e.Subsets[0].Ports[0].AppProtocol = ptr.To("h2c")
	s := plan(e, nil).create[0]
	if s.GenerateName != "web-" || s.Namespace != "d" || !metav1.IsControlledBy(s, e) || s.OwnerReferences[0].Kind != "Endpoints" || s.OwnerReferences[0].APIVersion != "v1" {
		t.Errorf("%+v", s.ObjectMeta)
	}
	if want := map[string]string{"team": "x", discoveryv1.LabelServiceName: "web", discoveryv1.LabelManagedBy: managedBy}; !equality.Semantic.DeepEqual(s.Labels, want) {
		t.Errorf("labels %v", s.Labels)
	}
	if want := map[string]string{"note": "n"}; !equality.Semantic.DeepEqual(s.Annotations, want) {
		t.Errorf("annotations %v", s.Annotations)
	}
	if p := s.Endpoints[0]; *p.Hostname != "h" || *p.NodeName != "n" || p.TargetRef.Name != "p" || *s.Ports[0].AppProtocol != "h2c" {
		t.Errorf("%+v, %+v", p, s.Ports)
	}
}

func TestPlan(t *testing.T) {
	one := corev1.EndpointSubset{Addresses: addresses("10.0.0.1"), Ports: tcp(80)}
	named := func(name string, e *corev1.Endpoints, edit ...func(*discoveryv1.EndpointSlice)) *discoveryv1.EndpointSlice {
		s := plan(e, nil).create[0]
		s.Name, s.GenerateName, s.ResourceVersion = name, "", "3"
		for _, f := range edit {
			f(s)
		}
		return s
	}
	type list = []*discoveryv1.EndpointSlice
	six := func(s *discoveryv1.EndpointSlice) { s.AddressType = discoveryv1.AddressTypeIPv6 }
	for what, tt := range map[string]struct {
		e       *corev1.Endpoints
		current list
		want    string
	}{
		"as it is":                {custom(one), list{named("a", custom(one))}, "kept [a|IPv4 p:80/TCP +10.0.0.1]"},
		"another address":         {custom(corev1.EndpointSubset{Addresses: addresses("10.0.0.2"), Ports: tcp(80)}), list{named("a", custom(one))}, "update [a|IPv4 p:80/TCP +10.0.0.2]"},
		"not ready any more":      {custom(corev1.EndpointSubset{NotReadyAddresses: addresses("10.0.0.1"), Ports: tcp(80)}), list{named("a", custom(one))}, "update [a|IPv4 p:80/TCP -10.0.0.1]"},
		"another port, in place":  {custom(corev1.EndpointSubset{Addresses: addresses("10.0.0.1"), Ports: tcp(81)}), list{named("a", custom(one))}, "update [a|IPv4 p:81/TCP +10.0.0.1]"},
		"another family":          {custom(one), list{named("a", custom(one), six)}, "create [|IPv4 p:80/TCP +10.0.0.1] delete [a|IPv6 p:80/TCP +10.0.0.1]"},
		"two of them":             {custom(one), list{named("a", custom(one)), named("b", custom(one))}, "delete [b|IPv4 p:80/TCP +10.0.0.1] kept [a|IPv4 p:80/TCP +10.0.0.1]"},
		"nothing left":            {custom(), list{named("a", custom(one))}, "delete [a|IPv4 p:80/TCP +10.0.0.1]"},
		"a label was taken":       {custom(one), list{named("a", custom(one), func(s *discoveryv1.EndpointSlice) { delete(s.Labels, "team") })}, "update [a|IPv4 p:80/TCP +10.0.0.1]"},
		"an annotation was added": {custom(one), list{named("a", custom(one), func(s *discoveryv1.EndpointSlice) { s.Annotations["x"] = "y" })}, "update [a|IPv4 p:80/TCP +10.0.0.1]"},
		"of Endpoints of old":     {custom(one), list{named("a", custom(one), func(s *discoveryv1.EndpointSlice) { s.OwnerReferences[0].UID = "old" })}, "update [a|IPv4 p:80/TCP +10.0.0.1]"},
	} {
		c := plan(tt.e, tt.current)
		var got string
		for _, part := range []struct {
			name string
			list list
		}{{"create", c.create}, {"update", c.update}, {"delete", c.delete}, {"kept", c.kept}} {
			if len(part.list) > 0 {
				got += fmt.Sprintf(" %s %v", part.name, texts(part.list))
			}
		}
		if got != " "+tt.want {
			t.Errorf("%s:%s, want %s", what, got, tt.want)
		}
		for _, s := range c.update {
			if s.ResourceVersion != "3" {
				t.Errorf("%s: an update that overwrites what it has not seen", what)
			}
		}
	}
}

func TestWhatIsTooMuchIsSkipped(t *testing.T) {
	var many []string
	for i := range perSubset + 5 {
		many = append(many, fmt.Sprintf("10.0.%d.%d", i/256, i%256))
	}
	c := plan(custom(corev1.EndpointSubset{Addresses: addresses(many...), NotReadyAddresses: addresses("10.1.0.1"), Ports: tcp(80)}), nil)
	if len(c.create) != 1 || len(c.create[0].Endpoints) != perSubset || c.skipped != 6 {
		t.Errorf("%d slices, %d skipped", len(c.create), c.skipped)
	}
}
