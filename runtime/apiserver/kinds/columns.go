package kinds

import (
	"fmt"
	"sort"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
)

const (
	none    = "<none>"
	unknown = "<unknown>"
	unset   = "<unset>"
)

// columns builds column definitions from names. A name that starts with "+" is
// shown only in wide output; one that starts with "#" is an integer. "Name" has
// the format by which kubectl finds an object's name.
func columns(names ...string) []metav1.TableColumnDefinition {
	out := make([]metav1.TableColumnDefinition, len(names))
	for i, name := range names {
		c := metav1.TableColumnDefinition{Type: "string"}
		if rest, ok := strings.CutPrefix(name, "+"); ok {
			name, c.Priority = rest, 1
		}
		if rest, ok := strings.CutPrefix(name, "#"); ok {
			name, c.Type = rest, "integer"
		}
		c.Name = name
		c.Description = describe(name)
		if name == "Name" && c.Priority == 0 {
			c.Format = "name"
		}
		out[i] = c
	}
	return out
}

func describe(name string) string {
	switch name {
	case "Name":
		return "Name of the object, unique among those of its kind in its namespace."
	case "Age":
		return "Time since the object was created."
	}
	return "The object's " + strings.ToLower(name) + "."
}

// since prints how long before now t was, "<unknown>" where t is not set.
func since(t metav1.Time, now time.Time) string {
	if t.IsZero() {
		return unknown
	}
	return duration.HumanDuration(now.Sub(t.Time))
}

func age(m metav1.ObjectMeta, now time.Time) string {
	return since(m.CreationTimestamp, now)
}

// createdAt is the cell of the few kinds that print a time and no age.
func createdAt(m metav1.ObjectMeta) string {
	return m.CreationTimestamp.UTC().Format(time.RFC3339)
}

func orNone(s string) string {
	if s == "" {
		return none
	}
	return s
}

func selectorText(s *metav1.LabelSelector) string {
	if s == nil {
		return none
	}
	return metav1.FormatLabelSelector(s)
}

func labelsText(m map[string]string) string {
	if len(m) == 0 {
		return none
	}
	pairs := make([]string, 0, len(m))
	for k, v := range m {
		pairs = append(pairs, k+"="+v)
	}
	sort.Strings(pairs)
	return strings.Join(pairs, ",")
}

// images prints names and images of containers, as two cells.
func images(containers []corev1.Container) (names, refs string) {
	n, r := make([]string, len(containers)), make([]string, len(containers))
	for i, c := range containers {
		n[i], r[i] = c.Name, c.Image
	}
	return strings.Join(n, ","), strings.Join(r, ",")
}

// firstOf joins at most max items and says how many more there are.
func firstOf(items []string, max int) string {
	if len(items) == 0 {
		return none
	}
	if len(items) <= max {
		return strings.Join(items, ",")
	}
	return fmt.Sprintf("%s + %d more...", strings.Join(items[:max], ","), len(items)-max)
}
