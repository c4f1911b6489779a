package containerspec

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
)

// expand replaces $(NAME) by the variable's value; $$ stands for a dollar sign,
// and a name that is not set stays as it is.
func expand(s string, vars map[string]string) string {
	return expandBy(s, func(name string) string {
		if v, ok := vars[name]; ok {
			return v
		}
		return "$(" + name + ")"
	})
}

func expandBy(s string, value func(name string) string) string {
	if !strings.Contains(s, "$") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		switch s[i+1] {
		case '$':
			b.WriteByte('$')
			i++
		case '(':
			end := strings.IndexByte(s[i:], ')')
			if end < 0 {
				b.WriteByte('$')
				continue
			}
			b.WriteString(value(s[i+2 : i+end]))
			i += end
		default:
			b.WriteByte('$')
		}
	}
	return b.String()
}

// subPath is the path in the volume that a mount asks for; "" for the volume as a whole.
// Of a variable without a value another pod's directory would be left over, or all of the
// volume.
func subPath(m corev1.VolumeMount, env []string) (string, error) {
	sub := m.SubPath
	if m.SubPathExpr != "" {
		vars, missing := variables(env), sets.New[string]()
		sub = expandBy(m.SubPathExpr, func(name string) string {
			if vars[name] == "" {
				missing.Insert(name)
			}
			return vars[name]
		})
		if len(missing) > 0 {
			return "", fmt.Errorf("missing value for %s", strings.Join(sets.List(missing), ", "))
		}
	}
	switch {
	case filepath.IsAbs(sub):
		return "", fmt.Errorf("%q must not be an absolute path", sub)
	case slices.Contains(strings.Split(sub, "/"), ".."):
		return "", fmt.Errorf("%q must not contain '..'", sub)
	}
	return sub, nil
}

// variables are those of an environment, by name.
func variables(env []string) map[string]string {
	vars := make(map[string]string, len(env))
	for _, e := range env {
		k, v, _ := strings.Cut(e, "=")
		vars[k] = v
	}
	return vars
}

func expandAll(list []string, env []string) []string {
	vars := variables(env)
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = expand(s, vars)
	}
	return out
}
