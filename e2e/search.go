package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// window is how many characters of a secret must be together to count as it: 96
// bits of a key, which no chance brings together.
const window = 16

// keyMark is what a private key ends and begins with, whoever made it.
const keyMark = "PRIVATE KEY-----"

// search finds secrets where there should be none: also a part of one, and one
// that was encoded in base64 once more.
type search struct {
	labels map[uint64]map[string]string // by the hash of a window and the window
	filter [1 << 16]bool                // by the low bits of the hash: most of what is searched is done with here
	marks  [][]byte
}

// newSearch takes secrets by label. What two different ones share, or what is
// public, is their format and no secret.
func newSearch(secrets map[string][]byte, public ...[]byte) *search {
	owners := map[string]string{}
	values := map[string]string{} // one label for each different value
	for _, label := range slices.Sorted(maps.Keys(secrets)) {
		values[string(secrets[label])] = label
	}
	// What begins in the format and ends in one letter of a key would be found in
	// every so many keys that nobody knows of.
	format := map[string]bool{}
	seen := map[string]string{}
	for value, label := range values {
		for part := range parts([]byte(value), window/2) {
			if other, taken := seen[part]; taken && other != label {
				format[part] = true
			}
			seen[part] = label
		}
	}
	for value, label := range values {
		for w := range parts([]byte(value), window) {
			if holdsAny(w, format) {
				continue
			}
			if other, taken := owners[w]; taken && other != label {
				owners[w] = ""
			} else {
				owners[w] = label
			}
		}
	}
	for _, p := range public {
		for w := range parts(p, window) {
			delete(owners, w)
		}
	}
	s := &search{labels: map[uint64]map[string]string{}}
	for w, label := range owners {
		if label == "" {
			continue
		}
		h := hash([]byte(w))
		if s.labels[h] == nil {
			s.labels[h] = map[string]string{}
		}
		s.labels[h][w] = label
		s.filter[h&0xffff] = true
	}
	for _, form := range append(encoded(keyMark), keyMark, strings.Trim(fmt.Sprint([]byte(keyMark)), "[]")) {
		s.marks = append(s.marks, []byte(form))
	}
	return s
}

// holdsAny reports whether half of the window, anywhere in it, is one of these.
func holdsAny(w string, halves map[string]bool) bool {
	for i := 0; i+window/2 <= len(w); i++ {
		if halves[w[i:i+window/2]] {
			return true
		}
	}
	return false
}

// parts are all parts of that length of a secret's lines, as they are and in base64.
// Lines are taken one by one, since what is between them may have become something
// else.
func parts(value []byte, length int) map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(string(value)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "-----") {
			continue
		}
		for _, form := range append(encoded(line), line) {
			for i := 0; i+length <= len(form); i++ {
				out[form[i:i+length]] = true
			}
		}
	}
	return out
}

// encoded is the text in base64 at each of the offsets that it may have in
// something longer, without the ends in which its neighbours have a part.
func encoded(text string) []string {
	var out []string
	for offset := range 3 {
		all := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", offset) + text))
		from, to := (offset*8+5)/6, (offset+len(text))*8/6
		out = append(out, all[from:max(from, to)])
	}
	return out
}

const prime = 1099511628211

func hash(w []byte) uint64 {
	var h uint64
	for _, c := range w {
		h = h*prime + uint64(c)
	}
	return h
}

// in tells what of the secrets is in the data, sorted.
func (s *search) in(data []byte) []string {
	found := map[string]bool{}
	for _, m := range s.marks {
		if bytes.Contains(data, m) {
			found["a private key"] = true
		}
	}
	drop := uint64(1) // what the oldest character of a window counts
	for range window {
		drop *= prime
	}
	var h uint64
	for i, c := range data {
		h = h*prime + uint64(c)
		if i >= window {
			h -= drop * uint64(data[i-window])
		}
		if i >= window-1 && s.filter[h&0xffff] {
			if label := s.labels[h][string(data[i-window+1:i+1])]; label != "" {
				found[label] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}
