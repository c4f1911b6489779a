package discovery

import (
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// Labels count, where nothing else does that counts already; what an earlier version had goes,
// and is counted.
func TestSliceGeneration(t *testing.T) {
	row := endpointSlice()
	old := &discoveryv1.EndpointSlice{Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}}}
	for name, tt := range map[string]struct {
		change func(*discoveryv1.EndpointSlice)
		want   int64
	}{
		"nothing":   {func(*discoveryv1.EndpointSlice) {}, 0},
		"labels":    {func(s *discoveryv1.EndpointSlice) { s.Labels = map[string]string{"a": "b"} }, 1},
		"both":      {func(s *discoveryv1.EndpointSlice) { s.Labels, s.Endpoints = map[string]string{"a": "b"}, nil }, 0},
		"old field": {func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].DeprecatedTopology = map[string]string{"a": "b"} }, 1},
	} {
		s := old.DeepCopy()
		tt.change(s)
		row.PrepareForUpdate(s, old)
		if s.Generation != tt.want {
			t.Errorf("%s: %d", name, s.Generation)
		}
		for _, e := range s.Endpoints {
			if e.DeprecatedTopology != nil {
				t.Errorf("%s: %v is kept", name, e.DeprecatedTopology)
			}
		}
	}
	if w := row.WarningsOnCreate(&discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeFQDN}); len(w) != 1 {
		t.Errorf("%v", w)
	}
	if w := row.WarningsOnCreate(&discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4}); w != nil {
		t.Errorf("%v", w)
	}
}
