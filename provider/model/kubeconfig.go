package model

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// Kubeconfig is the ephemeral resource gantry_kubeconfig.
type Kubeconfig struct {
	Cluster    types.Object `tfsdk:"cluster"`
	Validity   types.String `tfsdk:"validity"`
	User       types.String `tfsdk:"user"`
	Groups     types.List   `tfsdk:"groups"`
	Kubeconfig types.String `tfsdk:"kubeconfig"`
	Host       types.String `tfsdk:"host"`
	CA         types.String `tfsdk:"cluster_ca_certificate"`
	Cert       types.String `tfsdk:"client_certificate"`
	Key        types.String `tfsdk:"client_key"`
	ExpiresAt  types.String `tfsdk:"expires_at"`
}

// KubeconfigFile is the resource gantry_kubeconfig_file.
type KubeconfigFile struct {
	ID          types.String `tfsdk:"id"`
	Cluster     types.Object `tfsdk:"cluster"`
	Path        types.String `tfsdk:"path"`
	Validity    types.String `tfsdk:"validity"`
	RenewBefore types.String `tfsdk:"renew_before"`
	User        types.String `tfsdk:"user"`
	Groups      types.List   `tfsdk:"groups"`
	Fingerprint types.String `tfsdk:"fingerprint"`
	ExpiresAt   types.String `tfsdk:"expires_at"`
}

// Defaults of a KubeconfigFile.
const (
	DefaultValidity    = "168h"
	DefaultRenewBefore = "24h"
)

// Where an attribute is left out.
const (
	defaultUser       = "gantry-admin"
	ephemeralValidity = time.Hour
	fileValidity      = 168 * time.Hour
)

// Certificate is a client certificate to be signed.
type Certificate struct {
	Cluster  spec.Connection
	User     string
	Groups   []string
	Validity time.Duration
}

// Certificate is what the ephemeral resource asks for.
func (m *Kubeconfig) Certificate(ctx context.Context, diags *diag.Diagnostics) Certificate {
	return certificate(ctx, m.Cluster, m.User, m.Groups, DurationOr(m.Validity, ephemeralValidity), diags)
}

// Set puts what was signed into the model.
func (m *Kubeconfig) Set(c bootstrap.Credentials) {
	m.Kubeconfig, m.Host = types.StringValue(string(c.Kubeconfig)), types.StringValue(c.Server)
	m.CA, m.Cert, m.Key = types.StringValue(string(c.CA)), types.StringValue(string(c.Cert)), types.StringValue(string(c.Key))
	m.ExpiresAt = RFC3339(c.Expires)
}

// Certificate is what the file is to hold.
func (m *KubeconfigFile) Certificate(ctx context.Context, diags *diag.Diagnostics) Certificate {
	return certificate(ctx, m.Cluster, m.User, m.Groups, DurationOr(m.Validity, fileValidity), diags)
}

// Lifetime is how long the certificate is valid, and how long before its end it is
// renewed; the schema's defaults need not be set yet. It is false for what is no
// duration, which the schema refuses.
func (m *KubeconfigFile) Lifetime() (validity, renewBefore time.Duration, ok bool) {
	validity, err := time.ParseDuration(cmp.Or(m.Validity.ValueString(), DefaultValidity))
	renewBefore, beforeErr := time.ParseDuration(cmp.Or(m.RenewBefore.ValueString(), DefaultRenewBefore))
	return validity, renewBefore, err == nil && beforeErr == nil
}

// Set puts what was written into the model.
func (m *KubeconfigFile) Set(c bootstrap.Credentials) {
	m.ID, m.Fingerprint, m.ExpiresAt = m.Path, types.StringValue(Fingerprint(c.Kubeconfig)), RFC3339(c.Expires)
}

// Fingerprint is the SHA-256 of a file, in hex.
func Fingerprint(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func certificate(ctx context.Context, cluster types.Object, user types.String, groups types.List, validity time.Duration, diags *diag.Diagnostics) Certificate {
	c := Certificate{Cluster: Connection(ctx, cluster, diags), User: cmp.Or(user.ValueString(), defaultUser), Groups: []string{bootstrap.AdminGroup}, Validity: validity}
	if !groups.IsNull() {
		c.Groups = nil
		diags.Append(groups.ElementsAs(ctx, &c.Groups, false)...)
	}
	return c
}
