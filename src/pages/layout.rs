//! The frame around every page: head, service name, the page's body, the switch of languages.
//!
//! A page that has an address of its own in each language holds one, and the switch leads to the
//! others. A notice stands at an address of the service: it holds all languages, a pane each, and the
//! switch is a fragment. There the pane of the negotiated language stands last in the document, because
//! CSS can hide it when an earlier sibling is the target of the address, and not the other way round.
//! Panes that are not shown take no space, no focus and are not read aloud.

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};

use super::language::{Language, PerLanguage};
use super::look::Look;
use super::overlay::Overlay;
use super::text::Texts;

const TEMPLATES: [(&str, &str); 6] = [
    ("layout.html", include_str!("templates/layout.html")),
    ("waiting.html", include_str!("templates/waiting.html")),
    ("notice.html", include_str!("templates/notice.html")),
    ("place.html", include_str!("templates/place.html")),
    ("status.html", include_str!("templates/status.html")),
    ("rules.html", include_str!("templates/rules.html")),
];

/// Templates, texts, style and script, read once.
#[derive(Debug)]
pub(super) struct Layout {
    environment: Environment<'static>,
    texts: PerLanguage<Texts>,
    look: Look,
    /// Exactly what stands inside `<style>`.
    pub(super) style: String,
    /// Exactly what stands inside the waiting page's `<script>`.
    pub(super) script: String,
}

/// What one page puts into the frame.
pub(super) struct Page<'a> {
    pub(super) language: Language,
    pub(super) title: String,
    pub(super) service: &'a str,
    /// The waiting page's data block; without it there is no script.
    pub(super) data: Option<&'a str>,
    /// How it is read in another language.
    pub(super) switch: Switch<'a>,
}

/// How one gets from a page to the same in another language.
pub(super) enum Switch<'a> {
    /// All languages are in the page.
    Panes,
    /// Each has this address.
    Links(&'a dyn Fn(Language) -> String),
}

impl Layout {
    pub(super) fn load(look: &Look) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| format!("template syntax: {error}"))?);
        let overlay = Overlay::read(look.folder.as_deref())?;
        for (name, ours) in TEMPLATES {
            let source = overlay.template(name, ours).to_owned();
            environment
                .add_template_owned(name, source)
                .map_err(|error| format!("template {name}: {error:#}"))?;
        }
        Ok(Self {
            environment,
            texts: PerLanguage::build(|language| Texts::load(language, &overlay))?,
            look: look.clone(),
            style: squeeze(&format!("{}\n{}", look.theme.style(), overlay.style)),
            script: script(),
        })
    }

    pub(super) fn texts(&self, language: Language) -> &Texts {
        self.texts.of(language)
    }

    pub(super) fn render(&self, template: &str, values: Value) -> Result<String, String> {
        let template = self.environment.get_template(template).map_err(|error| error.to_string())?;
        template.render(values).map_err(|error| format!("template {}: {error:#}", template.name()))
    }

    /// What the operator links to from every page.
    fn slots(&self, texts: &Texts) -> Vec<Value> {
        let Look { theme: _, folder: _, privacy_url, accessibility_url, feedback_url, help_phone } =
            &self.look;
        let links =
            [("privacy", privacy_url), ("accessibility", accessibility_url), ("feedback", feedback_url)];
        let links = links.into_iter().filter_map(|(key, link)| {
            let link = link.as_ref()?;
            Some(context! { before => "", words => texts.page.get(key), link })
        });
        let phone = help_phone.as_ref().zip(self.look.dialled()).map(|(words, number)| {
            context! { before => texts.page.get("phone"), words, link => format!("tel:{number}") }
        });
        links.chain(phone).collect()
    }

    /// A whole page around the panes that `body` gives for each language.
    pub(super) fn page(
        &self,
        page: &Page<'_>,
        mut body: impl FnMut(Language) -> Result<String, String>,
    ) -> Result<String, String> {
        let (panes, link): (_, &dyn Fn(Language) -> String) = match page.switch {
            Switch::Panes => (true, &|language| format!("#{}", language.tag())),
            Switch::Links(link) => (false, link),
        };
        let others = Language::all().filter(|language| panes && *language != page.language);
        let panes: Result<Vec<Value>, String> = others
            .chain([page.language])
            .map(|language| {
                let texts = self.texts(language);
                Ok(context! {
                    tag => language.tag(),
                    direction => &texts.meta.direction,
                    languages => texts.page.get("languages"),
                    slots => self.slots(texts),
                    first => language == page.language,
                    body => body(language)?,
                })
            })
            .collect();
        let languages: Vec<Value> = Language::all()
            .map(|it| context! { tag => it.tag(), name => &self.texts(it).meta.name, link => link(it) })
            .collect();
        self.render(
            "layout.html",
            context! {
                language => page.language.tag(),
                direction => &self.texts(page.language).meta.direction,
                title => &page.title,
                service => page.service,
                style => &self.style,
                script => page.data.map(|_| self.script.as_str()),
                data => page.data,
                panes => panes?,
                languages,
            },
        )
    }
}

/// The waiting page's script: the protocol and the view, in one scope that nothing else sees.
fn script() -> String {
    let protocol = squeeze(include_str!("templates/waiting.js"));
    let view = squeeze(include_str!("templates/waiting_view.js"));
    format!("(() => {{\n\"use strict\";\n{protocol}\n{view}\n}})();")
}

/// Leaves out indentation, empty lines and comment lines: a quarter of the bytes, and nothing that a
/// browser reads. No string in our sources spans lines.
pub(super) fn squeeze(source: &str) -> String {
    let lines = source.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}
