package compare

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Answer is what an API server answered.
type Answer struct {
	Code int
	// Body is the decoded JSON, or a string where it is none.
	Body any
	// Warnings are the texts of the Warning headers.
	Warnings []string
}

// unsupported is how our server words the refusal of what Kubernetes has and the cluster does
// not: such a cause is named Unsupported.
const unsupported = "not supported by this cluster"

// Difference is one way in which answers differ, without the values that make each case
// its own: cases with the same difference have the same text.
type Difference string

var (
	quoted   = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	brackets = regexp.MustCompile(`\[[^\]]*\]`)
	number   = regexp.MustCompile(`\d{2,}`)
)

// Answers returns how the answers of upstream (a) and ours (b) differ; none where they are
// the same.
func Answers(a, b Answer) []Difference {
	if a.Code != b.Code {
		refusal := a
		if a.Code < 400 {
			refusal = b
		}
		return []Difference{Difference(fmt.Sprintf("code %d / %d: %s", a.Code, b.Code, strings.Join(refused(refusal.Body), "; ")))}
	}
	var out []Difference
	if a.Code >= 400 {
		out = refusals(a.Body, b.Body)
	} else {
		out = objects(a.Body, b.Body)
	}
	if x, y := slices.Sorted(slices.Values(a.Warnings)), slices.Sorted(slices.Values(b.Warnings)); !slices.Equal(x, y) {
		out = append(out, Difference(fmt.Sprintf("warnings: %s / %s", short(fmt.Sprintf("%q", only(x, y))), short(fmt.Sprintf("%q", only(y, x))))))
	}
	return out
}

// SameText reports whether refusals tell the same in words.
func SameText(a, b Answer) bool { return message(a.Body) == message(b.Body) }

func message(body any) string {
	if o, ok := body.(map[string]any); ok {
		m, _ := o["message"].(string)
		return text(m)
	}
	s, _ := body.(string)
	return text(s)
}

// refused is a refusal in short: its causes where it has any, else its message.
func refused(body any) []string {
	if c := causes(body); len(c) > 0 {
		return c
	}
	return []string{short(quoted.ReplaceAllString(message(body), `"…"`))}
}

// causes are those of a Status, as field and reason.
func causes(body any) []string {
	o, _ := body.(map[string]any)
	details, _ := o["details"].(map[string]any)
	list, _ := details["causes"].([]any)
	var out []string
	for _, c := range list {
		c, _ := c.(map[string]any)
		field, _ := c["field"].(string)
		reason, _ := c["reason"].(string)
		if m, _ := c["message"].(string); strings.Contains(m, unsupported) {
			reason = "Unsupported"
		}
		out = append(out, strings.TrimPrefix(reason, "FieldValue")+" "+field)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func refusals(a, b any) []Difference {
	var out []Difference
	x, _ := a.(map[string]any)
	y, _ := b.(map[string]any)
	if x == nil || y == nil {
		if text(fmt.Sprint(a)) != text(fmt.Sprint(b)) {
			out = append(out, Difference("text: "+short(fmt.Sprint(a))+" / "+short(fmt.Sprint(b))))
		}
		return out
	}
	if x["reason"] != y["reason"] {
		out = append(out, Difference(fmt.Sprintf("reason %v / %v: %s / %s", x["reason"], y["reason"], strings.Join(refused(a), "; "), strings.Join(refused(b), "; "))))
		return out
	}
	ca, cb := causes(a), causes(b)
	if !slices.Equal(ca, cb) {
		out = append(out, Difference(fmt.Sprintf("causes: only upstream %s, only ours %s", names(only(ca, cb)), names(only(cb, ca)))))
		return out
	}
	da, _ := x["details"].(map[string]any)
	db, _ := y["details"].(map[string]any)
	for _, k := range []string{"name", "group", "kind", "retryAfterSeconds"} {
		if fmt.Sprint(Normal(da[k])) != fmt.Sprint(Normal(db[k])) && !(k == "name" && generated(da[k], db[k])) {
			out = append(out, Difference(fmt.Sprintf("details.%s: %v / %v", k, da[k], db[k])))
		}
	}
	return out
}

// suffix is the length of what the server appends to a generateName.
const suffix = 5

// generated reports whether two names may have been made from one generateName.
func generated(a, b any) bool {
	x, _ := a.(string)
	y, _ := b.(string)
	return len(x) > suffix && len(x) == len(y) && x[:len(x)-suffix] == y[:len(y)-suffix]
}

// names are causes without the indices and keys of their paths.
func names(causes []string) []string {
	out := make([]string, len(causes))
	for i, c := range causes {
		out[i] = brackets.ReplaceAllString(c, "[]")
	}
	return slices.Compact(out)
}

func only(a, b []string) []string {
	out := []string{}
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	return out
}

func short(s string) string {
	s = number.ReplaceAllString(strings.ReplaceAll(s, "\n", " "), "N")
	if len(s) > 160 {
		return s[:160] + "…"
	}
	return s
}
