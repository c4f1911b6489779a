package model

import (
	"cmp"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/join"
)

// ClusterStatus is the data source gantry_cluster_status.
type ClusterStatus struct {
	Cluster       types.Object            `tfsdk:"cluster"`
	Timeout       types.String            `tfsdk:"timeout"`
	Healthy       types.Bool              `tfsdk:"healthy"`
	Problems      []string                `tfsdk:"problems"`
	FirstExpiry   types.String            `tfsdk:"first_expiry"`
	Masters       map[string]MasterStatus `tfsdk:"masters"`
	Members       map[string]MemberStatus `tfsdk:"members"`
	Nodes         map[string]NodeStatus   `tfsdk:"nodes"`
	VotersLiving  types.Int64             `tfsdk:"voters_living"`
	VotersNeeded  types.Int64             `tfsdk:"voters_needed"`
	VotersMayFail types.Int64             `tfsdk:"voters_may_fail"`
}

// MasterStatus is an entry of masters.
type MasterStatus struct {
	Address      string            `tfsdk:"address"`
	Reachable    bool              `tfsdk:"reachable"`
	Message      string            `tfsdk:"message"`
	Certificates map[string]string `tfsdk:"certificates"`
}

// MemberStatus is an entry of members.
type MemberStatus struct {
	Role    string `tfsdk:"role"`
	Healthy bool   `tfsdk:"healthy"`
	PeerURL string `tfsdk:"peer_url"`
	Bytes   int64  `tfsdk:"database_bytes"`
	Message string `tfsdk:"message"`
}

// NodeStatus is an entry of nodes.
type NodeStatus struct {
	Ready   bool         `tfsdk:"ready"`
	Master  bool         `tfsdk:"master"`
	Pool    types.String `tfsdk:"pool"`
	Address string       `tfsdk:"address"`
	Version string       `tfsdk:"version"`
	Message string       `tfsdk:"message"`
}

// ClusterStatusOf is the data source with what was seen.
func ClusterStatusOf(s bootstrap.ClusterStatus) ClusterStatus {
	m := ClusterStatus{
		Healthy: types.BoolValue(s.Healthy()), Problems: append([]string{}, s.Problems...),
		Masters: map[string]MasterStatus{}, Members: map[string]MemberStatus{}, Nodes: map[string]NodeStatus{},
	}
	for _, x := range s.Masters {
		m.Masters[x.Name] = masterStatus(x)
	}
	m.FirstExpiry = firstExpiry(s.Masters)
	for _, x := range s.Members {
		// A member that was never started has no name.
		m.Members[cmp.Or(x.Name, x.PeerURL)] = memberStatus(x)
	}
	m.setVoters(s.Members)
	for _, x := range s.Nodes {
		m.Nodes[x.Name] = NodeStatus{Ready: x.Problem == "", Master: x.Master, Pool: StringOrNull(x.Pool), Address: x.Address, Version: x.Version, Message: x.Problem}
	}
	return m
}

func masterStatus(s bootstrap.MasterStatus) MasterStatus {
	m := MasterStatus{Address: s.Address, Reachable: s.Err == nil, Certificates: map[string]string{}}
	switch {
	case s.Err != nil:
		m.Message = s.Err.Error()
	case s.Refused != nil:
		m.Message = s.Refused.Error()
	}
	for name, expiry := range s.Expiry {
		m.Certificates[name] = RFC3339(expiry).ValueString()
	}
	return m
}

// firstExpiry is null where no certificate was seen.
func firstExpiry(masters []bootstrap.MasterStatus) types.String {
	first := types.StringNull()
	var at time.Time
	for _, m := range masters {
		for _, expiry := range m.Expiry {
			if first.IsNull() || expiry.Before(at) {
				first, at = RFC3339(expiry), expiry
			}
		}
	}
	return first
}

func memberStatus(m join.Member) MemberStatus {
	role := "follower"
	switch {
	case m.Learner:
		role = "learner"
	case m.Leader:
		role = "leader"
	}
	return MemberStatus{Role: role, Healthy: m.Problem == "", PeerURL: m.PeerURL, Bytes: m.Bytes, Message: m.Problem}
}

// setVoters counts the members that vote. Where none was seen nothing is known: etcd
// may be well.
func (m *ClusterStatus) setVoters(members []join.Member) {
	if len(members) == 0 {
		return
	}
	var voters, living int64
	for _, x := range members {
		if x.Learner {
			continue
		}
		voters++
		if x.Problem == "" {
			living++
		}
	}
	majority := voters/2 + 1
	m.VotersLiving, m.VotersNeeded, m.VotersMayFail = types.Int64Value(living), types.Int64Value(majority), types.Int64Value(living-majority)
}
