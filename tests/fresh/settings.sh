# shellcheck shell=bash disable=SC2154 # `work` comes from fresh-machine.sh
# What the machine's own settings are, and how they are handed to a bare system: apt, pip, certificates, name servers.
# Sourced by fresh-machine.sh.

# Environment that a site sets so that its machines reach their registries.
handed_variables='^(PIP_[A-Z_]+|SSL_CERT_(FILE|DIR)|[A-Z_]*CA_BUNDLE|(https?|ftp|no|all)_proxy|(HTTPS?|NO|ALL)_PROXY)='

# hand_in_settings ROOT SUITE
hand_in_settings() {
    local root=$1 suite=$2 file
    apt_sources "$suite" >"$root/etc/apt/sources.list"
    install -m 644 "$work/apt.conf" "$root/etc/apt/apt.conf.d/90machine"
    if [[ -f /etc/apt/auth.conf ]]; then cp -p /etc/apt/auth.conf "$root/etc/apt/"; fi
    if [[ -d /etc/apt/auth.conf.d ]]; then cp -rp /etc/apt/auth.conf.d "$root/etc/apt/"; fi
    for file in /etc/resolv.conf /etc/hosts; do
        if [[ -f $file ]]; then cat "$file" >"$root$file"; fi
    done
    hand_in_certificates "$root"
    hand_in_pip "$root"
    env | grep -E "$handed_variables" >"$work/environment" || true
    pip_folders >"$work/folders"
}

# "deb URI SUITE main" lines for a suite, from wherever this machine gets Debian from.
apt_sources() {
    local suite=$1 mirror security
    mirror=${FRESH_MIRROR:-$(debian_uri '^[a-z]+$')}
    [[ -n $mirror ]] || die "this machine's apt has no Debian mirror; set FRESH_MIRROR=URI" 2
    echo "deb $mirror $suite main"
    [[ $suite != sid && $suite != unstable ]] || return 0
    echo "deb $mirror $suite-updates main"
    security=$(debian_uri '-security$')
    [[ -z $security ]] || echo "deb $security $suite-security main"
}

# debian_uri RELEASE_PATTERN: the first repository of Debian whose release looks like this.
debian_uri() {
    # shellcheck disable=SC2016 # apt expands them
    apt-get indextargets --format '$(ORIGIN) $(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk -v pattern="$1" '$1 == "Debian" && $2 ~ pattern && $3 == "main" { print $4; exit }'
}

# The values in force, from whatever files and variables they come: proxies, certificates, checks of dates.
write_apt_settings() {
    apt-config dump --no-empty --format '%F "%v";%n' Acquire |
        grep -vE '^Acquire::(IndexTargets|Changelogs|CompressionTypes|cdrom)' >"$1" || true
}

# Certificates of this machine that Debian's own package does not have: there they count as the site's.
hand_in_certificates() {
    local root=$1 folder=$1/usr/local/share/ca-certificates
    mkdir -p "$folder" "$root/etc/ssl/certs"
    [[ -f /etc/ssl/certs/ca-certificates.crt ]] || return 0
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    awk -v folder="$folder" '
        /^-----BEGIN CERTIFICATE-----/ { text = ""; inside = 1 }
        inside { text = text $0 "\n" }
        /^-----END CERTIFICATE-----/ {
            inside = 0
            if (FILENAME ~ /\/mozilla\//) known[text] = 1
            else if (!(text in known)) printf "%s", text > (folder "/machine-" ++count ".crt")
        }' /usr/share/ca-certificates/mozilla/*.crt /etc/ssl/certs/ca-certificates.crt
}

hand_in_pip() {
    local root=$1 file
    if [[ -f /etc/pip.conf ]]; then cp /etc/pip.conf "$root/etc/pip.conf"; fi
    for file in "$HOME/.pip/pip.conf" "$HOME/.config/pip/pip.conf"; do
        if [[ -f $file ]]; then
            install -D -m 644 "$file" "$root/root/${file#"$HOME"/}"
        fi
    done
}

# Local folders that pip is told to look in. The pages of an index link to files beside its own folder.
pip_folders() {
    {
        env | grep -E '^PIP_(FIND_LINKS|(EXTRA_)?INDEX_URL)=' | cut -d = -f 2-
        sed -n 's/^ *\(find-links\|\(extra-\)\{0,1\}index-url\) *= *//p' \
            /etc/pip.conf "$HOME/.pip/pip.conf" "$HOME/.config/pip/pip.conf" 2>/dev/null || true
    } | tr ' ' '\n' | sed -n 's|^\(file://\)\{0,1\}\(/.*[^/]\)/*$|\2|p' | sed 's|/simple$||' | sort -u |
        while read -r folder; do
            if [[ -d $folder ]]; then echo "$folder"; fi
        done
}
