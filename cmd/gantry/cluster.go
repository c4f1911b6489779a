package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// clusterCommand looks at the cluster from one of its masters.
func clusterCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "cluster", Short: "Look at the cluster of which this server is a master"}
	output := ""
	status := &cobra.Command{
		Use: "status", Args: cobra.NoArgs,
		Short: "Print masters, store, nodes, versions and when certificates end",
		Long: "Print masters, store, nodes, versions and when certificates end.\n\nIt asks each master by itself, with the certificates of this one, " +
			"so that it tells what it can while the API or other masters are down.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			quietGRPC()
			s, err := lookAtCluster(cmd.Context())
			if err != nil {
				return err
			}
			switch output {
			case "json":
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(s)
			case "":
				return s.print(cmd.OutOrStdout(), time.Now())
			}
			return fmt.Errorf("output %q: expected json, or none for tables", output)
		},
	}
	status.Flags().StringVarP(&output, "output", "o", output, "json; default: tables")
	cmd.AddCommand(status)
	return cmd
}

func (s *clusterStatus) print(out io.Writer, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t ")) }
	fmt.Fprintf(w, "Cluster %s (%s), seen from %s\n\n", s.Name, s.ID, s.From)

	row("MASTER", "ADDRESS", "API", "VERSION", "CERTIFICATE ENDS")
	for _, m := range s.Masters {
		row(m.Name, m.Address, fine(m.Problem, "ready"), m.Version, s.ends(m.CertificateEnds, now))
	}
	row()
	if s.StoreProblem != "" {
		row("STORE", s.StoreProblem)
	} else {
		row("STORE", "ADDRESS", "ROLE", "DATA", "REVISION", "RAFT TERM", "VERSION", "STATE")
		for _, m := range s.Store {
			row(m.Name, m.Address, string(m.Role), fmt.Sprintf("%.1f MB", float64(m.DBBytes)/1e6), fmt.Sprint(m.Revision), fmt.Sprint(m.Term), m.Version, fine(m.Problem, "serves"))
		}
	}
	row()
	if s.NodesProblem != "" {
		row("NODES", s.NodesProblem)
	} else {
		row("NODE", "ADDRESS", "ROLES", "VERSION", "STATE", "FIRST CERTIFICATE ENDS")
		for _, n := range s.Nodes {
			first := fine(n.CertificateProblem, "")
			if len(n.Certificates) > 0 {
				first = n.Certificates[0].File + " " + s.ends(n.Certificates[0].Ends, now)
			}
			row(n.Name, n.Address, n.Roles, n.Version, fine(n.Problem, "Ready"), first)
		}
	}
	row()
	row("CERTIFICATE OF "+strings.ToUpper(s.From), "ENDS")
	for _, c := range s.Certificates {
		row(c.File, fine(c.Problem, s.ends(c.Ends, now)))
	}
	return w.Flush()
}

// fine is a problem's first line, or the word for when there is none.
func fine(problem, word string) string {
	if problem == "" {
		return word
	}
	first, _, _ := strings.Cut(problem, "\n")
	return first
}

// ends says when a certificate does. One that should have been renewed long ago is
// pointed out.
func (s *clusterStatus) ends(at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	left := at.Sub(now)
	text, in := at.UTC().Format(time.DateOnly), fmt.Sprintf("%d days", int(left.Hours()/24))
	if left < 48*time.Hour {
		text, in = at.UTC().Format("2006-01-02 15:04:05"), left.Round(time.Second).String()
	}
	switch {
	case left <= 0:
		return text + " (ENDED)"
	case left < s.Lifetime.Duration/6:
		return fmt.Sprintf("%s (SOON: %s)", text, in)
	}
	return fmt.Sprintf("%s (%s)", text, in)
}

// sorted by end, the first one first; before them those whose end cannot be told.
func (c certificates) sort() {
	slices.SortFunc(c, func(a, b certificate) int { return a.Ends.Compare(b.Ends) })
}
