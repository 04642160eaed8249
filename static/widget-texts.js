/** What `<voice-widget>` says, by language. @module */

/** @type {Readonly<Record<string, string>>} */
const en = {
  talk: "Talk to us", hangUp: "Hang up", mute: "Mute", unmute: "Unmute", send: "Send", close: "Close", minimise: "Minimise", reopen: "Open the conversation",
  conversation: "Conversation", writeTo: "Write to the agent", placeholder: "Write a message", clear: "Close the conversation",
  devices: "Microphone and loudspeaker", microphone: "Microphone", loudspeaker: "Loudspeaker", agree: "I agree", decline: "No, thanks",
  connecting: "Connecting …", reconnecting: "Reconnecting …", listening: "Listening", hearing: "Hearing you", thinking: "Thinking", speaking: "Speaking",
  writing: "Writing …", muted: "Muted: you cannot be heard", person: "A person is on the line", tapToHear: "Tap the page to hear the answer.",
  unavailable: "Sorry, this is not available right now.", busy: "All lines are busy. Please try again in a moment.", connectionLost: "The connection was lost.",
  microphoneRefused: "Microphone access was denied. Allow it for this page in the browser's address bar, then try again.",
  noMicrophone: "No microphone was found. Plug one in and try again.", microphoneBusy: "The microphone cannot be opened. Another program may be using it.",
};

/** @type {Readonly<Record<string, string>>} */
const de = {
  talk: "Sprechen Sie mit uns", hangUp: "Auflegen", mute: "Stumm", unmute: "Ton an", send: "Senden", close: "Schließen", minimise: "Verkleinern", reopen: "Gespräch öffnen",
  conversation: "Gespräch", writeTo: "An den Assistenten schreiben", placeholder: "Nachricht schreiben", clear: "Gespräch schließen",
  devices: "Mikrofon und Lautsprecher", microphone: "Mikrofon", loudspeaker: "Lautsprecher", agree: "Einverstanden", decline: "Nein, danke",
  connecting: "Verbinden …", reconnecting: "Neu verbinden …", listening: "Ich höre zu", hearing: "Ich höre Sie", thinking: "Ich denke nach", speaking: "Ich spreche",
  writing: "Schreibt …", muted: "Stumm: Sie sind nicht zu hören", person: "Ein Mensch ist in der Leitung", tapToHear: "Tippen Sie auf die Seite, um die Antwort zu hören.",
  unavailable: "Das ist gerade leider nicht möglich.", busy: "Alle Leitungen sind belegt. Bitte versuchen Sie es gleich noch einmal.", connectionLost: "Die Verbindung ist abgebrochen.",
  microphoneRefused: "Das Mikrofon wurde nicht freigegeben. Erlauben Sie es in der Adressleiste des Browsers und versuchen Sie es noch einmal.",
  noMicrophone: "Es wurde kein Mikrofon gefunden. Schließen Sie eines an und versuchen Sie es noch einmal.", microphoneBusy: "Das Mikrofon lässt sich nicht öffnen. Vielleicht nutzt es gerade ein anderes Programm.",
};

/** @type {Readonly<Record<string, string>>} */
const es = {
  talk: "Hable con nosotros", hangUp: "Colgar", mute: "Silenciar", unmute: "Activar micrófono", send: "Enviar", close: "Cerrar", minimise: "Minimizar", reopen: "Abrir la conversación",
  conversation: "Conversación", writeTo: "Escribir al asistente", placeholder: "Escriba un mensaje", clear: "Cerrar la conversación",
  devices: "Micrófono y altavoz", microphone: "Micrófono", loudspeaker: "Altavoz", agree: "De acuerdo", decline: "No, gracias",
  connecting: "Conectando …", reconnecting: "Reconectando …", listening: "Le escucho", hearing: "Le oigo", thinking: "Pensando", speaking: "Hablando",
  writing: "Escribiendo …", muted: "Micrófono silenciado: no se le oye", person: "Le atiende una persona", tapToHear: "Toque la página para oír la respuesta.",
  unavailable: "Lo sentimos, no está disponible en este momento.", busy: "Todas las líneas están ocupadas. Inténtelo de nuevo en un momento.", connectionLost: "Se ha perdido la conexión.",
  microphoneRefused: "No se ha permitido el micrófono. Permítalo en la barra de direcciones del navegador e inténtelo de nuevo.",
  noMicrophone: "No se ha encontrado ningún micrófono. Conecte uno e inténtelo de nuevo.", microphoneBusy: "No se puede abrir el micrófono. Puede que otro programa lo esté usando.",
};

/** @type {Readonly<Record<string, string>>} */
const fr = {
  talk: "Parlez avec nous", hangUp: "Raccrocher", mute: "Couper le micro", unmute: "Rétablir le micro", send: "Envoyer", close: "Fermer", minimise: "Réduire", reopen: "Ouvrir la conversation",
  conversation: "Conversation", writeTo: "Écrire à l'assistant", placeholder: "Écrivez un message", clear: "Fermer la conversation",
  devices: "Micro et haut-parleur", microphone: "Micro", loudspeaker: "Haut-parleur", agree: "J'accepte", decline: "Non merci",
  connecting: "Connexion …", reconnecting: "Reconnexion …", listening: "Je vous écoute", hearing: "Je vous entends", thinking: "Je réfléchis", speaking: "Je parle",
  writing: "Écrit …", muted: "Micro coupé : on ne vous entend pas", person: "Une personne est en ligne", tapToHear: "Touchez la page pour entendre la réponse.",
  unavailable: "Désolé, ce service n'est pas disponible pour le moment.", busy: "Toutes les lignes sont occupées. Réessayez dans un instant.", connectionLost: "La connexion a été perdue.",
  microphoneRefused: "Le micro a été refusé. Autorisez-le dans la barre d'adresse du navigateur, puis réessayez.",
  noMicrophone: "Aucun micro n'a été trouvé. Branchez-en un et réessayez.", microphoneBusy: "Le micro ne peut pas être ouvert. Un autre programme l'utilise peut-être.",
};

/** @type {Readonly<Record<string, string>>} */
const tr = {
  talk: "Bizimle konuşun", hangUp: "Kapat", mute: "Sesi kapat", unmute: "Sesi aç", send: "Gönder", close: "Paneli kapat", minimise: "Küçült", reopen: "Görüşmeyi aç",
  conversation: "Görüşme", writeTo: "Asistana yazın", placeholder: "Bir mesaj yazın", clear: "Görüşmeyi kapat",
  devices: "Mikrofon ve hoparlör", microphone: "Mikrofon", loudspeaker: "Hoparlör", agree: "Kabul ediyorum", decline: "Hayır, teşekkürler",
  connecting: "Bağlanıyor …", reconnecting: "Yeniden bağlanıyor …", listening: "Dinliyorum", hearing: "Sizi duyuyorum", thinking: "Düşünüyorum", speaking: "Konuşuyorum",
  writing: "Yazıyor …", muted: "Ses kapalı: sizi duyamıyoruz", person: "Hatta bir kişi var", tapToHear: "Yanıtı duymak için sayfaya dokunun.",
  unavailable: "Üzgünüz, bu hizmet şu anda kullanılamıyor.", busy: "Tüm hatlar meşgul. Lütfen biraz sonra yeniden deneyin.", connectionLost: "Bağlantı kesildi.",
  microphoneRefused: "Mikrofona izin verilmedi. Tarayıcının adres çubuğundan izin verip yeniden deneyin.",
  noMicrophone: "Mikrofon bulunamadı. Bir mikrofon takıp yeniden deneyin.", microphoneBusy: "Mikrofon açılamıyor. Başka bir program kullanıyor olabilir.",
};

/** @type {Readonly<Record<string, Readonly<Record<string, string>>>>} */
export const TEXTS = Object.freeze({ en, de, es, fr, tr });

/** What a visitor is told of a problem, by its code; who cannot mend it is told no more than that it is so. @type {Readonly<Record<string, string>>} */
const PROBLEMS = {
  microphone_refused: "microphoneRefused", no_microphone: "noMicrophone", microphone_busy: "microphoneBusy",
  too_many_calls: "busy", too_many_calls_of_key: "busy", busy: "busy", connection_lost: "connectionLost",
};

/** The name of the text for a problem. @param {string} code */
export const problemText = (code) => PROBLEMS[code] ?? "unavailable";
