package pod

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestStaticAndMirrorPods(t *testing.T) {
	for name, c := range map[string]struct {
		annotations    map[string]string
		static, mirror bool
	}{
		"a pod of the API": {map[string]string{"a": "b"}, false, false},
		"a static pod":     {map[string]string{ConfigSourceAnnotation: "file", ConfigHashAnnotation: "h"}, true, false},
		"a mirror pod":     {map[string]string{ConfigSourceAnnotation: "file", corev1.MirrorPodAnnotationKey: "h"}, false, true},
	} {
		p := &corev1.Pod{}
		p.Annotations = c.annotations
		if IsStatic(p) != c.static || IsMirror(p) != c.mirror {
			t.Errorf("%s: %v, %v", name, IsStatic(p), IsMirror(p))
		}
	}
}
