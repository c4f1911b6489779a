// Package authentication knows who comes with a token that is not a service account's:
// one of an OpenID Connect issuer (AuthenticationConfiguration, read again when its file
// changes), a bootstrap token, or one that another server reviews. It imports none of
// our packages.
package authentication
