package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// most are the groups that are printed; all of them are written to the directory.
const most = 60

// write prints the report, and writes it in full to dir, with an example of each difference.
func (t *tally) write(w io.Writer, dir string) error {
	t.print(w, most)
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "report.txt"))
	if err != nil {
		return err
	}
	defer f.Close()
	t.print(f, len(t.groups))
	examples, err := os.Create(filepath.Join(dir, "examples.json"))
	if err != nil {
		return err
	}
	defer examples.Close()
	e := json.NewEncoder(examples)
	for i, g := range t.sorted() {
		if err := e.Encode(map[string]any{
			"n": i + 1, "kind": g.kind, "difference": g.difference, "how": g.example.How,
			"method": g.example.Request[0].method, "path": g.example.Request[0].path, "query": g.example.Request[0].query.Encode(),
			"body": g.example.Request[0].body, "upstream": g.example.Upstream, "ours": g.example.Ours,
		}); err != nil {
			return err
		}
	}
	return nil
}

func (t *tally) sorted() []*group {
	return slices.SortedFunc(maps.Values(t.groups), func(a, b *group) int {
		return cmp.Or(b.n-a.n, strings.Compare(a.kind, b.kind), strings.Compare(a.difference, b.difference))
	})
}

func (t *tally) print(w io.Writer, most int) {
	by := func(i int) {
		sums := map[string]*count{}
		for k, c := range t.counts {
			if sums[k[i]] == nil {
				sums[k[i]] = &count{}
			}
			sums[k[i]].add(*c)
		}
		for _, k := range slices.Sorted(maps.Keys(sums)) {
			c := sums[k]
			fmt.Fprintf(w, "  %-58s %7d of %7d the same, %7.2f %%, %d meant\n", k, c.same, c.total, 100*share(c.same, c.total-c.meant), c.meant)
		}
	}
	fmt.Fprintln(w, "by kind:")
	by(0)
	fmt.Fprintln(w, "by operation:")
	by(1)
	for i, g := range t.sorted() {
		if i == most {
			fmt.Fprintf(w, "… and %d more\n", len(t.groups)-most)
			break
		}
		operations := slices.SortedFunc(maps.Keys(g.operations), func(a, b string) int { return cmp.Or(g.operations[b]-g.operations[a], strings.Compare(a, b)) })
		fmt.Fprintf(w, "%4d %5d× %s: %s   [%s; %s]\n", i+1, g.n, g.kind, g.difference, strings.Join(operations[:min(3, len(operations))], ", "), g.example.How)
	}
	for _, reason := range slices.Sorted(maps.Keys(t.reasons)) {
		fmt.Fprintf(w, "meant %6d× %s\n", t.reasons[reason], reason)
	}
	c := t.sum()
	fmt.Fprintf(w, "%d requests, %d answers the same: %.3f %%; %d differ as they are meant to; without these %.3f %% are the same; of %d refusals %.1f %% in the same words\n",
		c.total, c.same, 100*share(c.same, c.total), c.meant, 100*share(c.same, c.total-c.meant), c.texts, 100*share(c.sameTexts, c.texts))
}
