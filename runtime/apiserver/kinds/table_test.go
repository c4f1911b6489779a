package kinds

import "testing"

func TestRowsAreUnique(t *testing.T) {
	type path struct{ group, resource string }
	seen, short := map[path]bool{}, map[string]string{}
	for _, k := range Table() {
		p := path{k.GVK.Group, k.Resource}
		if seen[p] {
			t.Errorf("%v: two rows", p)
		}
		seen[p] = true
		for _, s := range k.ShortNames {
			if other, ok := short[s]; ok && other != k.GVK.Kind {
				t.Errorf("short name %s: of %s and of %s", s, other, k.GVK.Kind)
			}
			short[s] = k.GVK.Kind
		}
	}
	if len(seen) != 69 {
		t.Errorf("%d rows", len(seen))
	}
}
